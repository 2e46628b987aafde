"""The engine of a worker: a stage of an mlx-lm model, a cache for each request, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from macfleet.worker.mlx.sampling import Sampler, pick_rows

# Buffers kept for reuse. A limit and not `mx.clear_cache()` now and then, as mlx-lm does: that waits for every stream, also for
# the one on which a ring's recv is pending, which is for ever.
_CACHE_LIMIT_BYTES = 2 * GIB


@dataclass
class _Slot:
    sampling: Sampling
    tokens: int = 0
    sampler: Sampler | None = None


class MlxEngine:
    """Implements worker.engine.Engine. Built and called on one thread: MLX streams belong to a thread."""

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
        self._advance(slot, position, inputs.shape[1])
        cache = self._caches.alone(slot)
        hidden = self._stage(to_array(inputs), cache)
        if self._stage.is_last:
            # Not the logits: the head is not among what the caches need, so it is not computed.
            mx.eval([entry.state for entry in cache])
            return None
        mx.eval(hidden)
        return to_tensor(hidden)

    def step(self, lane: int, slots: Sequence[int], positions: Sequence[int], inputs: Tensor) -> Tensor:
        return to_tensor(self._forward(lane, slots, positions, inputs))

    def pick(self, lane: int, slots: Sequence[int], positions: Sequence[int], inputs: Tensor) -> tuple[Picked | NotPicked, ...]:
        logits = self._forward(lane, slots, positions, inputs)[:, -1, :]
        return pick_rows([self._sampler(slot, logits.shape[-1]) for slot in slots], logits)

    def keep(self, slot: int, prefix: int) -> None:
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

    def _forward(self, lane: int, slots: Sequence[int], positions: Sequence[int], inputs: Tensor) -> mx.array:
        for slot, position in zip(slots, positions, strict=True):
            self._advance(slot, position, 1)
        return self._stage(to_array(inputs), self._caches.together(lane, slots))

    def _advance(self, slot: int, position: int, tokens: int) -> None:
        state = self._slots[slot]
        if position != state.tokens:
            raise MacfleetError(f"token {position} came where {state.tokens} was expected")
        state.tokens += tokens

    def _sampler(self, slot: int, vocabulary: int) -> Sampler:
        state = self._slots[slot]
        if state.sampler is None:
            form = state.sampling.form
            state.sampler = Sampler(state.sampling, vocabulary, None if form is None else Grammar(self._model_dir, form))
        return state.sampler
