"""Who is next: a line of waiting requests for each API key, and places that are shared between them. Pure."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

# The line of those who come with the service's own `api_key`, and of everybody where there is no key.
DEFAULT = "default"


@dataclass
class Line(Generic[T]):
    """The requests of one key. `places`: how many of them may be answered at once; `room`: how many more may wait."""

    name: str
    places: int
    room: int
    running: int = 0
    waiting: deque[T] = field(default_factory=deque)
    served: int = 0  # when it was given its last place, in places given

    @property
    def is_at_its_limit(self) -> bool:
        return self.running >= self.places

    @property
    def is_in_use(self) -> bool:
        return bool(self.running or self.waiting)


class Lines(Generic[T]):
    """`concurrency` places for all, and room for `queue_limit` to wait. `own_limits`: key → how many of its requests run at once.

    A free place goes to the line with the fewest running; of equals, to the one that was given its last one longest ago. So a key
    with a thousand requests waits for itself, and the first of another waits for one place. The room is shared out too: no key
    fills the queue for the others.
    """

    def __init__(self, concurrency: int, queue_limit: int, own_limits: Mapping[str, int | None]):
        self._concurrency = concurrency
        limits: dict[str, int | None] = {DEFAULT: None, **own_limits}
        room = max(1, queue_limit // len(limits)) if queue_limit else 0
        self._lines = {name: Line[T](name, min(limit or concurrency, concurrency), room) for name, limit in limits.items()}
        self._given = itertools.count(1)

    def __iter__(self) -> Iterator[Line[T]]:
        return iter(self._lines.values())

    def __getitem__(self, name: str) -> Line[T]:
        return self._lines[name]

    @property
    def running(self) -> int:
        return sum(line.running for line in self)

    @property
    def waiting(self) -> int:
        return sum(len(line.waiting) for line in self)

    def free(self, name: str) -> int:
        """How many more of this key would find a place, or room to wait."""
        line = self._lines[name]
        places = 0 if line.waiting else max(0, min(line.places - line.running, self._concurrency - self.running))
        return places + max(0, line.room - len(line.waiting))

    def most(self, name: str) -> int:
        """How many of this key fit when nobody else is here."""
        line = self._lines[name]
        return line.places + line.room

    def wait_s(self, name: str, usual_duration_s: float) -> float:
        """How long one more of this key would wait, if requests take as long as usual and all lines in use share the places."""
        line = self._lines[name]
        in_use = sum(other.is_in_use for other in self if other is not line) + 1
        places = min(line.places, max(1.0, self._concurrency / in_use))
        return usual_duration_s * (len(line.waiting) + 1) / places

    def join(self, name: str, one: T) -> None:
        self._lines[name].waiting.append(one)

    def give_place(self) -> T | None:
        """Who runs now, out of its line; None when no place is free or nobody may have it."""
        ready = [line for line in self if line.waiting and not line.is_at_its_limit]
        if not ready or self.running >= self._concurrency:
            return None
        line = min(ready, key=lambda line: (line.running, line.served))
        line.running += 1
        line.served = next(self._given)
        return line.waiting.popleft()

    def free_place(self, name: str) -> None:
        """One of this key does not run any more."""
        self._lines[name].running -= 1

    def leave(self, name: str, one: T) -> None:
        """It does not wait any more; one that does not is no error."""
        if one in self._lines[name].waiting:
            self._lines[name].waiting.remove(one)

    def clear(self) -> None:
        for line in self:
            line.running = 0
            line.waiting.clear()
