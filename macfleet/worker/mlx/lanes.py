"""The caches of slots, alone and merged into lanes, with mlx-lm's own batch caches."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map
from mlx_lm.models.cache import KVCache, QuantizedKVCache, can_trim_prompt_cache, trim_prompt_cache

from macfleet.core.errors import MacfleetError
from macfleet.worker.engine import Reach, Reuse

Cache = list[Any]  # one entry for each own layer


# A layer without rotary positions reads its cache's offsets never, so that every step adds a promise to the last one's: about a
# kilobyte for each such layer, for as long as the lane lives, which is as long as people ask.
_STEPS_OF_PROMISES = 64


@dataclass
class _Lane:
    slots: list[int]
    cache: Cache
    steps: int = 0


@dataclass
class Caches:
    """Every slot's cache is in one place: its own, or a row of a lane's.

    A lane of one keeps its slot's own cache: without a batch there is no padding and no mask to pay for.
    """

    _alone: dict[int, Cache] = field(default_factory=dict)
    _lanes: dict[int, _Lane] = field(default_factory=dict)
    _prefixes: dict[int, tuple[Cache, int]] = field(default_factory=dict)

    def open(self, slot: int, fresh: Cache, reuse: Reuse | None) -> None:
        self._alone[slot] = fresh if reuse is None else self._copy(reuse)

    def alone(self, slot: int) -> Cache:
        """The slot's own cache, taken out of its lane if it is in one."""
        if slot not in self._alone:
            self._take_out(slot)
        return self._alone[slot]

    def together(self, lane: int, slots: Sequence[int]) -> Cache:
        """One cache for these slots in this order; whoever else was in the lane has its own again."""
        if len(slots) == 1:
            return self.alone(slots[0])
        found = self._lanes.setdefault(lane, _Lane([], []))
        found.steps += 1
        if found.steps % _STEPS_OF_PROMISES == 0:
            mx.eval([entry.state for entry in found.cache])
        if found.slots != list(slots):
            self._arrange(found, slots)
        return found.cache

    def keep(self, slot: int, prefix: int, tokens: int) -> None:
        """`tokens`: how many are in it; not every kind of cache can tell."""
        cache = self.alone(slot)
        _settle(cache)
        self._prefixes[prefix] = (cache, tokens)

    def drop(self, prefix: int) -> None:
        self._prefixes.pop(prefix, None)

    def free(self, slot: int) -> None:
        if self._alone.pop(slot, None) is None:
            for lane in self._lanes.values():
                if slot in lane.slots:
                    self._remove(lane, slot)
        self._lanes = {number: lane for number, lane in self._lanes.items() if lane.slots}

    def clear(self) -> None:
        self._alone.clear()
        self._lanes.clear()
        self._prefixes.clear()

    def _arrange(self, lane: _Lane, slots: Sequence[int]) -> None:
        """Rows that stay keep their order, rows that come follow: so the caller names them, and only what is new is copied."""
        for slot in [slot for slot in lane.slots if slot not in slots]:
            self._take_out_of(lane, slot)
        staying = len(lane.slots)
        if lane.slots != list(slots[:staying]):
            for slot in list(lane.slots):
                self._take_out_of(lane, slot)
            staying = 0
        coming = list(slots[staying:])
        if not coming:
            return
        merged = _merge([self.alone(slot) for slot in coming])
        if staying:
            for own, new in zip(lane.cache, merged, strict=True):
                own.extend(new)
        else:
            lane.cache = merged
        for slot in coming:
            del self._alone[slot]
        lane.slots += coming

    def _take_out(self, slot: int) -> None:
        for lane in self._lanes.values():
            if slot in lane.slots:
                self._take_out_of(lane, slot)
                return
        raise MacfleetError(f"slot {slot} is not open")

    def _take_out_of(self, lane: _Lane, slot: int) -> None:
        row = lane.slots.index(slot)
        self._alone[slot] = [entry.extract(row) for entry in lane.cache]
        self._remove(lane, slot)

    def _remove(self, lane: _Lane, slot: int) -> None:
        row = lane.slots.index(slot)
        lane.slots.pop(row)
        if not lane.slots:
            lane.cache = []
            return
        rest = mx.array([other for other in range(len(lane.slots) + 1) if other != row])
        for entry in lane.cache:
            entry.filter(rest)

    def _copy(self, reuse: Reuse) -> Cache:
        if reuse.prefix not in self._prefixes:
            raise MacfleetError(f"the prefix {reuse.prefix} is not kept here")
        kept, tokens = self._prefixes[reuse.prefix]
        cache, excess = copy.deepcopy(kept), tokens - reuse.tokens
        if excess and (not can_trim_prompt_cache(cache) or trim_prompt_cache(cache, excess) != excess):
            raise MacfleetError(f"the prefix {reuse.prefix} cannot be cut to {reuse.tokens} tokens")
        return cache


def can_batch(cache: Cache) -> bool:
    """mlx-lm's own rule for what its server batches."""
    return all(hasattr(entry, "merge") for entry in cache)


def reach_of(cache: Cache) -> Reach:
    """Attention over all tokens can be cut anywhere. A window that has moved on, or a state, cannot."""
    return Reach.ANY if all(type(entry).__name__ in ("KVCache", "QuantizedKVCache") for entry in _flat(cache)) else Reach.WHOLE


def _settle(cache: Cache) -> None:
    """Nothing else stays in memory for it. Just taken out of a lane it is only a promise, which holds the caches of the whole lane
    until it is computed; grown on its own it has room for up to 255 tokens more than there are."""
    for entry in _flat(cache):
        if isinstance(entry, KVCache | QuantizedKVCache) and not entry.empty():
            entry.keys, entry.values = tree_map(lambda full: mx.contiguous(full[..., : entry.offset, :]), (entry.keys, entry.values))  # noqa: B023
    mx.eval([entry.state for entry in cache])


def _flat(cache: Cache) -> list[Any]:
    found: list[Any] = []
    for entry in cache:
        found += _flat(list(entry.caches)) if hasattr(entry, "caches") else [entry]
    return found


def _merge(caches: Sequence[Cache]) -> Cache:
    return [entries[0].merge(list(entries)) for entries in zip(*caches, strict=True)]
