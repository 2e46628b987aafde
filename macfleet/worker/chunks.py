"""How long the chunks are in which a prompt is read, from what chunks take. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# A step that follows a chunk waits for it at every stage. With all stages together: what a chunk may add to the time between two tokens
# of the answers that run, as a multiple of that time, …
_SHARE = 1.4
# … and what it may add where shorter ones waste a stage: on a GPU that waits for its memory, 8 tokens take as long as 100.
_MOST_SHARE = 2.0
_WASTEFUL = 0.6  # below this part of the best speed
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)

Seconds = Callable[[int], float]  # of a chunk of so many tokens


def beside_answers(seconds: Seconds, cycle_s: float, stages: int, most: int) -> int:
    """The length of a chunk that is read while others have a token every `cycle_s`."""
    sizes = _sizes(most)
    usual = max((size for size in sizes if seconds(size) <= _SHARE * cycle_s / stages), default=1)
    bearable = [size for size in sizes if size >= usual and seconds(size) <= _MOST_SHARE * cycle_s / stages] or [usual]
    enough = _WASTEFUL * max(size / seconds(size) for size in bearable)
    return min(size for size in bearable if size / seconds(size) >= enough)


def alone(seconds: Seconds, tokens: int, stages: int, most: int) -> int:
    """The length of the chunks of a prompt that nobody waits beside: short enough to be in all stages at once, no shorter than pays."""

    def until_read_s(size: int) -> float:
        return (max(1.0, tokens / size) + stages - 1) * seconds(min(size, tokens))

    return min(_sizes(most), key=lambda size: (round(until_read_s(size), 6), -size))


def alone_at_first(tokens: int, stages: int, most: int) -> int:
    """The same before anything was measured."""
    return most if stages == 1 else min(most, max(32, -(-tokens // (6 * stages))))


def _sizes(most: int) -> Sequence[int]:
    return (*(size for size in _SIZES if size < most), most)
