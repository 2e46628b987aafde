"""Tokens into text as they arrive, whole characters only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]

# A character has at most four bytes, and a token at least one: what is still broken after this many is not going to heal.
_MOST_PENDING = 8


class Detokenizer:
    """The text of a growing list of tokens, such that the pieces together are `decode` of the whole.

    A tokenizer's `decode` treats the first token of what it is given specially (a space may be dropped), and a character
    may span tokens. So each step decodes from a little before, and shows the difference once it ends in a whole character.
    """

    def __init__(self, decode: Decode):
        self._decode = decode
        self._tokens: list[int] = []  # a window: what was shown last, then what is pending
        self._shown = 0  # how many of them are shown

    def push(self, token: int) -> str:
        """The text this token completes; empty while a character is incomplete."""
        self._tokens.append(token)
        new = self._pending_text()
        # A token without text (a sign of the model's own) waits too: a window of nothing else would make the next one the first.
        if (not new or new.endswith("\ufffd")) and len(self._tokens) - self._shown < _MOST_PENDING:
            return ""
        self._advance()
        return new

    def flush(self) -> str:
        """What is left at the end; an incomplete character shows as U+FFFD."""
        new = self._pending_text()
        self._advance()
        return new

    def _pending_text(self) -> str:
        before = self._decode(self._tokens[: self._shown])
        return self._decode(self._tokens)[len(before) :]

    def _advance(self) -> None:
        if self._shown < len(self._tokens):
            self._tokens = self._tokens[self._shown :]
            self._shown = len(self._tokens)
