"""Which beginnings of prompts are kept, and which of them a new prompt goes on from. Pure: rank 0 decides, every rank obeys."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from macfleet.worker.engine import Reach, Reuse

# Below this it costs more to fetch a prefix than to compute it again.
_WORTH_TOKENS = 16


@dataclass
class Prefixes:
    """Kept prefixes, the longest unused first to go. `room_tokens`: how many tokens may be kept in all.

    `most`: how many prefixes; None: any number. A state costs as much of 20 tokens as of 8,000.
    """

    reach: Reach
    room_tokens: int
    most: int | None = None
    _kept: OrderedDict[int, tuple[int, ...]] = field(default_factory=OrderedDict)
    _next: int = 1
    tokens: int = 0
    hits: int = 0
    reused_tokens: int = 0

    def find(self, prompt: Sequence[int]) -> Reuse | None:
        """What this prompt shares with a kept one, save for its last token, which is always computed."""
        wanted = tuple(prompt[:-1])
        number, length = 0, _WORTH_TOKENS - 1
        for other, kept in reversed(self._kept.items()):
            # Many begin with the same long words; most of them part where the best so far did, and are not read from the start.
            if kept[length : length + 1] == wanted[length : length + 1] != () and (shared := self._shared(kept, wanted)) > length:
                number, length = other, shared
        if not number:
            return None
        # A conversation that goes on is kept again at its end. What has to go on from all of it needs this shorter one no more.
        self._kept.move_to_end(number, last=self.reach is Reach.ANY)
        self.hits += 1
        self.reused_tokens += length
        return Reuse(number, length)

    def keep(self, tokens: Sequence[int]) -> tuple[int | None, tuple[int, ...]]:
        """(the number to keep these tokens under, or None if that is not worth it; the numbers to drop for it)."""
        kept = tuple(tokens)
        if len(kept) < _WORTH_TOKENS or len(kept) > self.room_tokens or self.most == 0:
            return None, ()
        is_any = self.reach is Reach.ANY
        if any(_begins(other, kept) if is_any else other == kept for other in self._kept.values()):
            return None, ()
        # What these tokens go on from is part of them now: a conversation is kept once, at its newest.
        covered = [number for number, other in self._kept.items() if is_any and _begins(kept, other)]
        for number in covered:
            self.forget(number)
        number, self._next = self._next, self._next + 1
        self._kept[number] = kept
        self.tokens += len(kept)
        return number, (*covered, *self.shrink(self.room_tokens, self.most))

    def shrink(self, room_tokens: int, most: int | None = None) -> tuple[int, ...]:
        """Keep no more than this; says what to drop."""
        self.room_tokens, self.most = max(0, room_tokens), most
        dropped = []
        while self._kept and (self.tokens > self.room_tokens or (most is not None and len(self._kept) > most)):
            number = next(iter(self._kept))
            self.forget(number)
            dropped.append(number)
        return tuple(dropped)

    def length(self, number: int) -> int:
        return len(self._kept[number])

    def forget(self, number: int) -> None:
        """It is not to be found any more; one that is not kept is no error."""
        self.tokens -= len(self._kept.pop(number, ()))

    def _shared(self, kept: tuple[int, ...], wanted: tuple[int, ...]) -> int:
        if self.reach is Reach.WHOLE:
            return len(kept) if _begins(wanted, kept) else 0
        same, longest = 0, min(len(kept), len(wanted))
        while same < longest:
            middle = (same + longest + 1) // 2
            if kept[same:middle] == wanted[same:middle]:
                same = middle
            else:
                longest = middle - 1
        return same


def _begins(whole: tuple[int, ...], beginning: tuple[int, ...]) -> bool:
    """Looks at the last token first: with the first ones most prompts begin alike."""
    length = len(beginning)
    return length <= len(whole) and whole[length - 1] == beginning[-1] and whole[:length] == beginning
