"""From tokens to what the client reads: text, stop strings and the reason why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from macfleet.api.detokenize import Decode, Detokenizer
from macfleet.api.stop import StopMatcher

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Scored:
    """A token as the client sees it, how likely the model found it, and what it found likely instead."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """Text to show, possibly none yet, and the tokens it is made of where logprobs are wanted; `finish_reason` on the last one."""

    text: str = ""
    finish_reason: FinishReason | None = None
    scored: tuple[Scored, ...] = ()


class TextStream:
    """The answer of one request, piece by piece."""

    def __init__(self, decode: Decode, stops: Sequence[str]):
        self._detokenizer = Detokenizer(decode)
        self._stops = StopMatcher(stops)
        self._unshown: tuple[Scored, ...] = ()

    def push(self, token: int, finished: FinishReason | None, scored: Scored | None = None) -> Piece:
        """The piece that this token makes. A token that ends by `stop` is the model's own end mark, which is not text."""
        if scored is not None and finished != "stop":
            self._unshown += (scored,)
        piece = self._piece(token, finished)
        if not piece.text and piece.finish_reason != "length":
            return piece  # its tokens are shown with their text, and never if that is part of a stop string
        shown, self._unshown = self._unshown, ()
        return Piece(piece.text, piece.finish_reason, shown)

    def _piece(self, token: int, finished: FinishReason | None) -> Piece:
        text = "" if finished == "stop" else self._detokenizer.push(token)
        if finished is not None:
            text += self._detokenizer.flush()
        shown = self._stops.push(text)
        if self._stops.is_hit:
            return Piece(shown, "stop")
        if finished is not None:
            shown += self._stops.flush()
        return Piece(shown, finished)
