"""The engine of a worker: a stage of an mlx-lm model, a cache for each request, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mlx.core as mx

from macfleet.core.errors import MacfleetError
from macfleet.core.units import GIB
from macfleet.engines.protocol import Sampling
from macfleet.models.families import UNBATCHED
from macfleet.models.kv import KvQuantization
from macfleet.worker.engine import NotPicked, Picked, Reuse, Tensor
from macfleet.worker.mlx.arrays import to_array, to_tensor
from macfleet.worker.mlx.grammar import Grammar
from macfleet.worker.mlx.lanes import Caches, can_batch, reach_of
from macfleet.worker.mlx.load import load_stage
from macfleet.worker.mlx.sampling import Sampler, guarded, pick_rows

# Buffers kept for reuse. A limit and not `mx.clear_cache()` now and then, as mlx-lm does: that waits for every stream, also for
# the one on which a ring's recv is pending, which is for ever.
_CACHE_LIMIT_BYTES = 2 * GIB
_NOT_OPEN = "this request was not opened here"


@dataclass
class _Slot:
    sampling: Sampling
    tokens: int = 0
    sampler: Sampler | None = None


class MlxEngine:
    """Implements worker.engine.Engine. Built and called on one thread: MLX streams belong to a thread.

    A request is where the engine says it is only when its caches say so too: it moves on after what was computed, and not before.
    """

    def __init__(
        self,
        model_dir: Path,
        first_layer: int,
        last_layer: int,
        *,
        is_last: bool,
        is_proved: bool = False,
        batched: bool | None = None,
        kv: KvQuantization | None = None,
    ):
        """`is_proved`: otherwise than by its place on the allow-list. `batched` None: as is known of the family."""
        if mx.metal.is_available():
            from mlx_lm.utils import maybe_set_recommended_wired_limit

            maybe_set_recommended_wired_limit()
        else:
            mx.set_default_device(mx.cpu)
        mx.set_cache_limit(_CACHE_LIMIT_BYTES)
        loaded = load_stage(model_dir, first_layer, last_layer, layers_expected_last=is_last, is_proved=is_proved, kv=kv)
        self._model_dir = model_dir
        self._stage = loaded.stage
        self.names = loaded.names
        self.weight_bytes = loaded.weight_bytes
        self._slots: dict[int, _Slot] = {}
        self._caches = Caches()
        fresh = self._stage.whole_cache()
        self.can_batch = can_batch(fresh) and (self._stage.family not in UNBATCHED if batched is None else batched)
        self.reach = reach_of(fresh)

    def open(self, slot: int, sampling: Sampling, reuse: Reuse | None = None) -> None:
        self._caches.open(slot, self._stage.own_cache(), reuse)
        self._slots[slot] = _Slot(sampling, tokens=reuse.tokens if reuse else 0)

    def feed(self, slot: int, position: int, inputs: Tensor) -> Tensor | None:
        if why := self._why_not(slot, position):
            raise MacfleetError(why)
        cache = self._caches.alone(slot)
        hidden = self._stage(to_array(inputs), cache)
        # On the last stage not the logits: the head is not among what the caches need, so it is not computed.
        mx.eval([entry.state for entry in cache] if self._stage.is_last else hidden)
        self._slots[slot].tokens += inputs.shape[1]
        return None if self._stage.is_last else to_tensor(hidden)

    def step(self, lane: int, slots: Sequence[int], positions: Sequence[int], inputs: Tensor) -> Tensor:
        rows, reasons = self._rows(slots, positions)
        if not rows:
            raise MacfleetError(reasons[0])
        hidden = self._forward(lane, slots, rows, inputs)
        tensor = to_tensor(_spread(hidden, rows, len(slots)))
        self._moved_on(slots, rows)
        return tensor

    def pick(self, lane: int, slots: Sequence[int], positions: Sequence[int], inputs: Tensor) -> tuple[Picked | NotPicked, ...]:
        rows, reasons = self._rows(slots, positions)
        if not rows:
            return tuple(NotPicked(reason) for reason in reasons.values())
        logits = self._forward(lane, slots, rows, inputs)[:, -1, :]
        picked = dict(zip(rows, pick_rows([self._sampler(slots[row], logits.shape[-1]) for row in rows], logits), strict=True))
        self._moved_on(slots, rows)
        return tuple(picked[row] if row in picked else NotPicked(reasons[row]) for row in range(len(slots)))

    def keep(self, slot: int, prefix: int) -> None:
        if slot not in self._slots:
            raise MacfleetError(_NOT_OPEN)
        self._caches.keep(slot, prefix, self._slots[slot].tokens)

    def drop(self, prefix: int) -> None:
        self._caches.drop(prefix)

    def free(self, slot: int) -> None:
        if self._slots.pop(slot, None) is not None:
            self._caches.free(slot)

    def close(self) -> None:
        self._slots.clear()
        self._caches.clear()
        del self._stage

    def _rows(self, slots: Sequence[int], positions: Sequence[int]) -> tuple[list[int], dict[int, str]]:
        """The rows that can be computed, and why the others cannot.

        An earlier chunk or step of theirs failed here or at a stage before, which has told rank 0, while this lane was on its way.
        The stages behind have missed the same, so none of them takes such a row, whatever stands in it.
        """
        found = (self._why_not(slot, position) for slot, position in zip(slots, positions, strict=True))
        reasons = {row: why for row, why in enumerate(found) if why}
        return [row for row in range(len(slots)) if row not in reasons], reasons

    def _why_not(self, slot: int, position: int) -> str | None:
        state = self._slots.get(slot)
        if state is None:
            return _NOT_OPEN
        return None if state.tokens == position else f"token {position} came where {state.tokens} was expected"

    def _forward(self, lane: int, slots: Sequence[int], rows: list[int], inputs: Tensor) -> mx.array:
        array = to_array(inputs)
        taken = array if len(rows) == len(slots) else array[mx.array(rows)]
        return self._stage(taken, self._caches.together(lane, [slots[row] for row in rows]))

    def _moved_on(self, slots: Sequence[int], rows: Sequence[int]) -> None:
        for row in rows:
            self._slots[slots[row]].tokens += 1

    def _sampler(self, slot: int, vocabulary: int) -> Sampler | NotPicked:
        state = self._slots[slot]
        if state.sampler is None:
            made = guarded(partial(self._new_sampler, state.sampling, vocabulary))
            if isinstance(made, NotPicked):
                return made
            state.sampler = made
        return state.sampler

    def _new_sampler(self, sampling: Sampling, vocabulary: int) -> Sampler:
        return Sampler(sampling, vocabulary, None if sampling.form is None else Grammar(self._model_dir, sampling.form))


def _spread(hidden: mx.array, rows: list[int], count: int) -> mx.array:
    """Each computed row in the place of its member; nothing in the others."""
    if len(rows) == count:
        return hidden
    full = mx.zeros((count, *hidden.shape[1:]), hidden.dtype)
    full[mx.array(rows)] = hidden
    return full
