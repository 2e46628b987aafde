"""How long a decoding step should take a stage: what its layers and its head read, and what every layer costs besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from macfleet.models.card import ModelCard
from macfleet.placement.memory import MacMemory

# t = bytes / (share * bandwidth) + layers * constant, fitted to 34 published speeds of MLX and llama.cpp on M2 to M5 and tried on 16
# others: 6 % off in the middle, a third off at worst. Bandwidth alone is 75 % off. Share 0.80-0.90 and 60-90 µs for a layer; with
# experts 105 (M4 Max) to 215 µs (M3 Ultra). Attention over a long context is not in it.
_BANDWIDTH_SHARE = 0.85
_LAYER_US, _LAYER_WITH_EXPERTS_US = 80, 150
_USUAL_GB_S = 400.0


@dataclass(frozen=True)
class StepTimes:
    """Steps of `rows` requests of one model. Sums run from layer 0, so that a stage is one subtraction: of whole numbers, so that
    stages of equal layers take exactly as long."""

    card: ModelCard
    rows: int

    def bytes(self, first: int, last: int) -> int:
        """What the layers first..last-1 read, and the head with the last of all."""
        return self._byte_sums[last] - self._byte_sums[first]

    def seconds(self, first: int, last: int, bandwidth_gb_s: float) -> float:
        reading_s = self.bytes(first, last) / (_BANDWIDTH_SHARE * bandwidth_gb_s * 1e9)
        return reading_s + (self._us_sums[last] - self._us_sums[first]) * 1e-6

    @cached_property
    def _byte_sums(self) -> list[int]:
        return [0, *accumulate(self.card.step_bytes(layer, layer + 1, self.rows) for layer in range(self.card.layers))]

    @cached_property
    def _us_sums(self) -> list[int]:
        experts = self.card.expert_bytes_per_layer or (0,) * self.card.layers
        return [0, *accumulate(_LAYER_WITH_EXPERTS_US if has_some else _LAYER_US for has_some in experts)]


def bandwidths(macs: Sequence[MacMemory]) -> list[float]:
    """Each Mac's, in GB/s; where one is unknown, all are taken to be as fast as they are large, so that layers follow memory."""
    known = [mac.bandwidth_gb_s for mac in macs if mac.bandwidth_gb_s]
    if len(known) == len(macs):
        return known
    whole = sum(mac.limit_bytes for mac in macs)
    return [_USUAL_GB_S * len(macs) * mac.limit_bytes / whole for mac in macs]
