"""The engine of a worker: a stage of an mlx-lm model with a cache per request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from macfleet.core.errors import MacfleetError
from macfleet.core.units import GIB
from macfleet.engines.protocol import Sampling
from macfleet.worker.engine import Picked, Tensor
from macfleet.worker.mlx.arrays import to_array, to_tensor
from macfleet.worker.mlx.grammar import Grammar
from macfleet.worker.mlx.load import load_stage
from macfleet.worker.mlx.sampling import Sampler

# Buffers kept for reuse. A limit and not `mx.clear_cache()` now and then, as mlx-lm does: that waits for every stream, also for
# the one on which a ring's recv is pending, which is for ever.
_CACHE_LIMIT_BYTES = 2 * GIB


@dataclass
class _Slot:
    cache: list[Any]
    sampling: Sampling
    tokens: int = 0
    sampler: Sampler | None = None


class MlxEngine:
    """Implements worker.engine.Engine. Built and called on one thread: MLX streams belong to a thread."""

    def __init__(self, model_dir: Path, first_layer: int, last_layer: int, *, is_last: bool):
        if mx.metal.is_available():
            from mlx_lm.utils import maybe_set_recommended_wired_limit

            maybe_set_recommended_wired_limit()
        else:
            mx.set_default_device(mx.cpu)
        mx.set_cache_limit(_CACHE_LIMIT_BYTES)
        loaded = load_stage(model_dir, first_layer, last_layer, layers_expected_last=is_last)
        self._model_dir = model_dir
        self._stage = loaded.stage
        self.names = loaded.names
        self.weight_bytes = loaded.weight_bytes
        self._slots: dict[int, _Slot] = {}

    def open(self, slot: int, sampling: Sampling) -> None:
        self._slots[slot] = _Slot(self._stage.make_cache(), sampling)

    def feed(self, slot: int, position: int, inputs: Tensor) -> Tensor | None:
        state = self._at(slot, position, inputs)
        hidden = self._stage(to_array(inputs), state.cache)
        if self._stage.is_last:
            # Not the logits: the head is not among what the caches need, so it is not computed.
            mx.eval([entry.state for entry in self._stage.own_cache(state.cache)])
            return None
        mx.eval(hidden)
        return to_tensor(hidden)

    def pick(self, slot: int, position: int, inputs: Tensor) -> Picked:
        state = self._at(slot, position, inputs)
        logits = self._stage(to_array(inputs), state.cache)[:, -1, :]
        if state.sampler is None:
            form = state.sampling.form
            grammar = None if form is None else Grammar(self._model_dir, form)
            state.sampler = Sampler(state.sampling, logits.shape[-1], grammar)
        return state.sampler.pick(logits)

    def free(self, slot: int) -> None:
        self._slots.pop(slot, None)

    def close(self) -> None:
        self._slots.clear()
        del self._stage

    def _at(self, slot: int, position: int, inputs: Tensor) -> _Slot:
        state = self._slots[slot]
        if position != state.tokens:
            raise MacfleetError(f"token {position} came where {state.tokens} was expected")
        state.tokens += inputs.shape[1]
        return state
