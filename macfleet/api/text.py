"""From tokens to what the client reads: text, stop strings and the reason why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from macfleet.api.detokenize import Decode, Detokenizer
from macfleet.api.sections import Marks, Section, Sections
from macfleet.api.stop import StopMatcher
from macfleet.api.tools import CallReader, ToolCall

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True)
class Scored:
    """A token as the client sees it, how likely the model found it, and what it found likely instead."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """What came since the last piece, possibly nothing yet; `finish_reason` on the last one.

    `scored`: the tokens of it where logprobs are wanted. `calls`: whole calls of tools.
    """

    text: str = ""
    finish_reason: FinishReason | None = None
    scored: tuple[Scored, ...] = ()
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.reasoning or self.calls)


class TextStream:
    """The answer of one request, piece by piece. `sections` and `calls` where the model has them and the request wants them."""

    def __init__(self, decode: Decode, stops: Sequence[str], sections: Sections | None = None, calls: CallReader | None = None):
        self._detokenizer = Detokenizer(decode)
        self._stops = StopMatcher(stops)
        self._sections = sections or Sections(Marks())
        self._calls = calls
        self._call = ""  # the text of a call that is being written
        self._has_called = False
        self._unshown: tuple[Scored, ...] = ()

    def push(self, token: int, finished: Literal["stop", "length"] | None, scored: Scored | None = None) -> Piece:
        """The piece that this token makes. A token that ends by `stop` is the model's own end mark, which is not text."""
        if scored is not None and finished != "stop":
            self._unshown += (scored,)
        text, reason = self._certain(token, finished)
        piece = self._sorted(text, reason)
        if piece.is_empty and piece.finish_reason != "length":
            return piece  # its tokens are shown with their text, and never if that is part of a stop string
        shown, self._unshown = self._unshown, ()
        return replace(piece, scored=shown)

    def _certain(self, token: int, finished: Literal["stop", "length"] | None) -> tuple[str, FinishReason | None]:
        """The text that no stop string can take back any more."""
        text = "" if finished == "stop" else self._detokenizer.push(token)
        if finished is not None:
            text += self._detokenizer.flush()
        shown = self._stops.push(text)
        if self._stops.is_hit:
            return shown, "stop"
        if finished is not None:
            shown += self._stops.flush()
        return shown, finished

    def _sorted(self, text: str, reason: FinishReason | None) -> Piece:
        found = self._sections.push(text)
        if reason is not None:
            found.append(self._sections.flush())
        answer = reasoning = ""
        calls: tuple[ToolCall, ...] = ()
        for section, part in found:
            if section != Section.TOOL and self._call:
                made, unread = self._end_call()
                calls, answer = calls + made, answer + unread
                if self._calls and self._calls.is_full:
                    return Piece(answer, "tool_calls", reasoning=reasoning, calls=calls)
            match section:
                case Section.ANSWER:
                    answer += part
                case Section.REASONING:
                    reasoning += part
                case Section.TOOL:
                    self._call += part
        if reason is not None and self._call:
            made, unread = self._end_call(is_cut=reason == "length" or self._stops.is_hit)
            calls, answer = calls + made, answer + unread
        if reason == "stop" and self._has_called:
            reason = "tool_calls"
        return Piece(answer, reason, reasoning=reasoning, calls=calls)

    def _end_call(self, is_cut: bool = False) -> tuple[tuple[ToolCall, ...], str]:
        """The calls that were written, or the text of what is none: it is not lost.

        One that was cut is none, though its parser may find a call in it: with arguments missing, it must not be made.
        """
        text, self._call = self._call, ""
        calls = self._calls.read(text) if self._calls and not is_cut else None
        if calls is None:
            return (), text
        self._has_called = True
        return calls, ""
