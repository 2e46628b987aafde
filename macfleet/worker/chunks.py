"""How long the pieces are in which a prompt is read, from what pieces have taken so far. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_NEW = 0.2  # weight of a new measurement
# Of the time between two tokens of the answers that run: what a piece of somebody's prompt may take on each stage, …
_SHARE = 0.7
# … and what it may take where shorter ones waste a stage: on a GPU that waits for its memory, 8 tokens take as long as 100.
_MOST_SHARE = 1.5
_WASTEFUL = 0.6  # below this part of the best speed
_SIZES = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)

Seconds = Callable[[int], float]  # of a piece of so many tokens


@dataclass
class ChunkCosts:
    """Seconds of one stage by tokens, measured in sizes that double: a long piece says little of what a short one costs."""

    _measured: dict[int, tuple[float, float]] = field(default_factory=dict)  # about this size: (tokens, seconds)

    def measured(self, tokens: int, seconds: float) -> None:
        size = tokens.bit_length()
        if size not in self._measured:
            self._measured[size] = (tokens, seconds)
            return
        tokens_before, before = self._measured[size]
        # The first of its kind compiles and allocates: not what the next one costs.
        bounded = min(seconds, 4 * before)
        self._measured[size] = (tokens_before + (tokens - tokens_before) * _NEW, before + (bounded - before) * _NEW)

    @property
    def is_known(self) -> bool:
        return bool(self._measured)

    def seconds(self, tokens: int) -> float:
        """On the line between the two measured sizes around it; beyond them, on the nearest such line."""
        points = [self._measured[size] for size in sorted(self._measured)]
        if len(points) == 1:
            ((known, seconds),) = points
            # One point does not tell how it splits; half and half is corrected by the next one.
            return seconds * (0.5 + 0.5 * tokens / known)
        (x0, y0), (x1, y1) = next((pair for pair in pairwise(points) if tokens <= pair[1][0]), (points[-2], points[-1]))
        slope = min(max((y1 - y0) / (x1 - x0), 0.0), y1 / x1)
        return y1 + slope * (tokens - x1)


def beside_answers(seconds: Seconds, cycle_s: float, most: int) -> int:
    """The length of a piece that is read while others wait `cycle_s` between their tokens."""
    sizes = _sizes(most)
    fitting = [size for size in sizes if seconds(size) <= _SHARE * cycle_s]
    usual = max(fitting, default=sizes[0])
    bearable = [size for size in sizes if size >= usual and seconds(size) <= _MOST_SHARE * cycle_s] or [usual]
    enough = _WASTEFUL * max(size / seconds(size) for size in bearable)
    return min(size for size in bearable if size / seconds(size) >= enough)


def alone(seconds: Seconds, tokens: int, stages: int, most: int) -> int:
    """The length of the pieces of a prompt that nobody waits beside: short enough to be in all stages at once, no shorter than pays."""

    def until_read_s(size: int) -> float:
        return (max(1.0, tokens / size) + stages - 1) * seconds(min(size, tokens))

    return min(_sizes(most), key=lambda size: (round(until_read_s(size), 6), -size))


def alone_at_first(tokens: int, stages: int, most: int) -> int:
    """The same before anything was measured."""
    return most if stages == 1 else min(most, max(32, -(-tokens // (6 * stages))))


def _sizes(most: int) -> Sequence[int]:
    return (*(size for size in _SIZES if size < most), most)
