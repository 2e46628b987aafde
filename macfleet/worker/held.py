"""How much memory the caches of running requests take, in tokens, as mlx-lm's caches allocate it. Pure: rank 0 counts along.

What it counts is so on every stage when the step that was counted last reaches it: frames keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_STEP = 256  # mlx-lm's caches grow by so many tokens at a time


@dataclass
class _Lane:
    """`capacity`: of each row, as long as the longest and padded. `held`: in all rows, as it was computed last."""

    slots: list[int] = field(default_factory=list)
    capacity: int = 0
    held: int = 0


@dataclass
class _Left:
    """A lane as it was when these slots were taken out of it: it stays in memory until each of them is computed."""

    slots: set[int]
    held: int


@dataclass
class Held:
    """The engine's own caches of slots and lanes, without their content: see worker/mlx/lanes.py, whose moves these are."""

    _tokens: dict[int, int] = field(default_factory=dict)
    _alone: dict[int, int] = field(default_factory=dict)  # what a slot's own cache has room for
    _lanes: dict[int, _Lane] = field(default_factory=dict)
    _left: list[_Left] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        lanes = sum(lane.held for lane in self._lanes.values())
        return sum(self._alone.values()) + lanes + sum(left.held for left in self._left)

    def beside(self, slot: int) -> int:
        """What is held besides a prefix that this slot becomes: its own cache is given away, a lane's row is copied."""
        return self.tokens - self._alone.get(slot, 0)

    def opened(self, slot: int, tokens: int, copied: int) -> None:
        """It goes on from `tokens` tokens of a prefix; `copied` is all of that prefix, which is cut where it grows."""
        self._tokens[slot], self._alone[slot] = tokens, copied

    def fed(self, slot: int, tokens: int) -> None:
        if slot not in self._alone:
            self._take_out(slot)
        self._computed(slot)
        self._alone[slot] = _grown(self._alone[slot], self._tokens[slot], tokens)
        self._tokens[slot] += tokens

    def stepped(self, number: int, slots: Sequence[int]) -> None:
        """One token more for each row. A lane of one has no batch: the slot keeps its own cache."""
        if len(slots) == 1:
            self.fed(slots[0], 1)
            return
        lane = self._lanes.setdefault(number, _Lane())
        if lane.slots != list(slots):
            self._arrange(lane, slots)
        lane.capacity = _grown(lane.capacity, self._longest(lane.slots), 1)
        lane.held = len(slots) * lane.capacity
        for slot in slots:
            self._tokens[slot] += 1

    def freed(self, slot: int) -> None:
        """A row that leaves is still there until its lane's next step: nothing is computed for its sake."""
        self._take_out(slot)
        self._computed(slot)
        self._alone.pop(slot, None)
        self._tokens.pop(slot, None)

    def _arrange(self, lane: _Lane, slots: Sequence[int]) -> None:
        leaving = [slot for slot in lane.slots if slot not in slots]
        for slot in leaving:
            # One after the other, each from what the one before has left: at worst all of these are in memory.
            self._left.append(_Left(set(leaving), lane.held))
            lane.held = (len(lane.slots) - 1) * lane.capacity
            self._leave(lane, slot)
        if lane.slots != list(slots[: len(lane.slots)]):
            for slot in list(lane.slots):
                self._leave(lane, slot)
        coming = slots[len(lane.slots) :]
        for slot in coming:
            self._take_out(slot)
            self._computed(slot)
            del self._alone[slot]
        lane.capacity = max(lane.capacity, self._longest(coming))
        lane.slots += coming

    def _computed(self, slot: int) -> None:
        for left in self._left:
            left.slots.discard(slot)
        self._left = [left for left in self._left if left.slots]

    def _take_out(self, slot: int) -> None:
        for number, lane in list(self._lanes.items()):
            if slot in lane.slots:
                self._leave(lane, slot)
                if not lane.slots:
                    del self._lanes[number]

    def _leave(self, lane: _Lane, slot: int) -> None:
        """The padding that only this row's neighbours had goes with it."""
        longest = self._longest(lane.slots)
        lane.slots.remove(slot)
        lane.capacity = lane.capacity - longest + self._longest(lane.slots) if lane.slots else 0
        self._alone[slot] = self._tokens[slot]

    def _longest(self, slots: Sequence[int]) -> int:
        return max((self._tokens[slot] for slot in slots), default=0)


def _grown(capacity: int, tokens: int, new: int) -> int:
    """What a cache with `tokens` tokens in it has room for when `new` ones have come."""
    if tokens + new <= capacity:
        return capacity
    # What is left of the last growth is cut off, save where the tokens end at a whole step: mlx-lm's own rule.
    return (tokens if tokens % _STEP else capacity) + -(-new // _STEP) * _STEP
