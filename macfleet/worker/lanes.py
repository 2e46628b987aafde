"""Which requests are decoded together: each lane is a batch of its own, and several are on their way so that every stage works. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Lane:
    """`slots` in the order of its rows. A lane has at most one step on its way: the next one needs its tokens."""

    number: int
    slots: list[int] = field(default_factory=list)
    sent_at: float | None = None  # when the step that is on its way began; None: it rests

    @property
    def is_resting(self) -> bool:
        return self.sent_at is None


@dataclass
class Lanes:
    """Slots come to `join`, are shared out as lanes rest, and leave when they are done."""

    _lanes: list[Lane] = field(default_factory=list)
    _joining: deque[int] = field(default_factory=deque)
    _next: int = 1
    _turn: int = 0

    @property
    def requests(self) -> int:
        return sum(len(lane.slots) for lane in self._lanes) + len(self._joining)

    @property
    def count(self) -> int:
        return len(self._lanes)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(lane.slots) for lane in self._lanes)

    def join(self, slot: int) -> None:
        self._joining.append(slot)

    def leave(self, slot: int) -> None:
        """Also while its lane is on its way: what comes back for it is nobody's."""
        self._joining = deque(other for other in self._joining if other != slot)
        for lane in self._lanes:
            if slot in lane.slots:
                lane.slots.remove(slot)
        self._lanes = [lane for lane in self._lanes if lane.slots or not lane.is_resting]

    def next_ready(self, wanted: int) -> Lane | None:
        """A lane that rests, with its rows for the next step, if `wanted` lanes are to share all slots; in turns."""
        if not self.requests:
            return None
        share = -(-self.requests // wanted)
        self._dissolve_beyond(wanted)
        self._relieve(share, wanted)
        self._fill(share, wanted)
        resting = [lane for lane in self._by_turn() if lane.is_resting and lane.slots]
        if not resting:
            return None
        self._turn = resting[0].number
        return resting[0]

    def came_back(self, number: int) -> Lane | None:
        """The lane whose step is done; None if it is gone."""
        lane = next((lane for lane in self._lanes if lane.number == number), None)
        if lane is not None and not lane.slots:
            self._lanes.remove(lane)
        return lane

    def _dissolve_beyond(self, wanted: int) -> None:
        """Too many lanes: the smallest that rest give their slots to the others."""
        resting = sorted((lane for lane in self._lanes if lane.is_resting), key=lambda lane: len(lane.slots))
        for lane in resting[: max(0, self.count - wanted)]:
            self._lanes.remove(lane)
            self._joining.extend(lane.slots)

    def _relieve(self, share: int, wanted: int) -> None:
        """A lane that is much too long gives slots away. One too many is left: moving copies caches."""
        slack = 1 if self.count >= wanted else 0
        for lane in self._lanes:
            if lane.is_resting and len(lane.slots) > share + slack:
                self._joining.extend(lane.slots[share:])
                del lane.slots[share:]

    def _fill(self, share: int, wanted: int) -> None:
        for lane in sorted((lane for lane in self._lanes if lane.is_resting), key=lambda lane: len(lane.slots)):
            while self._joining and len(lane.slots) < share:
                lane.slots.append(self._joining.popleft())
        while self._joining and self.count < wanted:
            rows = [self._joining.popleft() for _ in range(min(share, len(self._joining)))]
            self._lanes.append(Lane(self._next, rows))
            self._next += 1

    def _by_turn(self) -> Iterator[Lane]:
        behind = [lane for lane in self._lanes if lane.number > self._turn]
        yield from (*behind, *(lane for lane in self._lanes if lane.number <= self._turn))
