"""Layers to Macs: every layer of the model on exactly one Mac, no Mac above what its GPU may hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import inf

from macfleet.core.errors import PlacementRefused
from macfleet.core.units import format_size
from macfleet.models.card import ModelCard
from macfleet.models.kv import KvQuantization
from macfleet.placement.memory import TIGHT_SHARE, USABLE_SHARE, MacMemory, overhead_bytes
from macfleet.placement.split import Cost, split, split_by_sum
from macfleet.placement.step import StepTimes, bandwidths

_FINE = 10**9


@dataclass(frozen=True)
class Stage:
    """What one Mac holds: layers `first_layer` up to, not including, `last_layer`.

    `step_bytes`: the weights it reads for a decoding step when every stage has a batch; `step_s`: what that should take it, None
    where nobody knows how fast its memory is.
    """

    mac: str
    rank: int
    first_layer: int
    last_layer: int
    weight_bytes: int
    kv_bytes: int
    overhead_bytes: int
    limit_bytes: int
    taken_bytes: int = 0
    step_bytes: int = 0
    step_s: float | None = None

    @property
    def layers(self) -> int:
        return self.last_layer - self.first_layer

    @property
    def need_bytes(self) -> int:
        return self.weight_bytes + self.kv_bytes + self.overhead_bytes

    @property
    def fill(self) -> float:
        """Share of the GPU limit that is taken, other services included, when every request is as long as it may be."""
        return (self.need_bytes + self.taken_bytes) / self.limit_bytes

    @property
    def is_tight(self) -> bool:
        return self.fill > TIGHT_SHARE


@dataclass(frozen=True)
class Placement:
    """Stages in rank order. Their layers cover 0..L-1 exactly once: asserted here, whoever makes one.

    `kv`: how the caches that were counted are kept; None: as wide as activations.
    mlx-lm before 0.32 lost layers whenever they did not divide by the ranks, without a word (mlx-lm#1688).
    """

    model: str
    layers: int
    context_tokens: int
    concurrency: int
    stages: tuple[Stage, ...]
    kv: KvQuantization | None = None

    def __post_init__(self) -> None:
        held = [layer for stage in self.stages for layer in range(stage.first_layer, stage.last_layer)]
        if held != list(range(self.layers)) or [stage.rank for stage in self.stages] != list(range(len(self.stages))):
            raise AssertionError(f"the stages of {self.model} do not cover its {self.layers} layers exactly once: {self.stages}")

    def stage_of(self, mac: str) -> Stage:
        return next(stage for stage in self.stages if stage.mac == mac)

    def step_sentence(self) -> str:
        """What the slowest stage makes of it; empty where a Mac's speed is not known."""
        steps = {stage.mac: stage.step_s for stage in self.stages if stage.step_s}
        if len(steps) < len(self.stages):
            return ""
        slowest = max(steps, key=lambda mac: steps[mac])
        return (
            f"a decoding step should take the stages {min(steps.values()) * 1e3:.2f} to {steps[slowest] * 1e3:.2f} ms; "
            f"{slowest} is the slowest: at most {1 / steps[slowest]:.0f} steps/s"
        )

    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"{stage.mac} is filled to {stage.fill:.0%} of its GPU limit of {format_size(stage.limit_bytes)}"
            for stage in self.stages
            if stage.is_tight
        )


def place(card: ModelCard, macs: Sequence[MacMemory], *, context_tokens: int, concurrency: int, kv_bits: int | None = None) -> Placement:
    """`card`'s layers on `macs` in the order given (the first is rank 0), every Mac with at least one.

    Chosen so that the slowest stage is as fast as can be (placement/step.py: that is what a pipeline's throughput hangs on);
    among those, so that no Mac is fuller than need be above what counts as tight; among those, so that the step times are as
    equal as whole layers allow. Exact at each turn. Raises PlacementRefused with numbers, Mac by Mac.
    """
    kv = card.kv_in(kv_bits) if kv_bits else None
    need = _Need(card.with_kv(kv) if kv else card, macs, context_tokens, concurrency, plain=card)
    _refuse_what_makes_no_sense(need)
    ends = _balanced(need)
    if ends is None:
        raise _refusal(need)
    firsts = (0, *ends[:-1])
    stages = tuple(need.stage(rank, first, last) for rank, (first, last) in enumerate(zip(firsts, ends, strict=True)))
    return Placement(card.name, card.layers, context_tokens, concurrency, stages, kv)


@dataclass(frozen=True)
class _Need:
    """The question, and what any piece of it would cost. Sums run from layer 0, so that a piece is one subtraction."""

    card: ModelCard
    macs: Sequence[MacMemory]
    context_tokens: int
    concurrency: int
    plain: ModelCard | None = None  # with its KV cache as wide as activations, where `card` may be another

    @cached_property
    def weight_sums(self) -> list[int]:
        return [0, *accumulate(self.card.layer_bytes)]

    @cached_property
    def cache_sums(self) -> list[int]:
        """Caches when every request is as long as it may be."""
        card = self.card
        return [0, *accumulate(card.cache_bytes(layer, layer + 1, self.context_tokens, self.concurrency) for layer in range(card.layers))]

    @cached_property
    def overhead_bytes(self) -> int:
        return overhead_bytes(self.card.hidden)

    @cached_property
    def bandwidths(self) -> list[float]:
        return bandwidths(self.macs)

    @cached_property
    def steps(self) -> StepTimes:
        """Of as many requests as share a step when every stage has a batch."""
        return StepTimes(self.card, rows=-(-self.concurrency // len(self.macs)))

    def weights(self, first: int, last: int) -> int:
        """What `card.weight_bytes` says, quickly."""
        is_first, is_last = first == 0, last == self.card.layers
        ends = self.card.embed_bytes * is_first + self.card.head_bytes * is_last
        shared = self.card.embed_bytes if self.card.is_tied and is_first and is_last else 0
        return self.weight_sums[last] - self.weight_sums[first] + ends - shared

    def cache(self, first: int, last: int) -> int:
        return self.cache_sums[last] - self.cache_sums[first]

    def bytes(self, first: int, last: int) -> int:
        return self.weights(first, last) + self.cache(first, last) + self.overhead_bytes

    def seconds(self, rank: int, first: int, last: int) -> float:
        """Of one step; a Mac that cannot hold the piece would take for ever."""
        if self.bytes(first, last) > self.macs[rank].usable_bytes:
            return inf
        return self.steps.seconds(first, last, self.bandwidths[rank])

    def fill(self, rank: int, first: int, last: int) -> float:
        mac = self.macs[rank]
        return (self.bytes(first, last) + mac.taken_bytes) / mac.limit_bytes

    def stage(self, rank: int, first: int, last: int) -> Stage:
        mac = self.macs[rank]
        weights, cache = self.card.weight_bytes(first, last), self.cache(first, last)
        step_s = self.steps.seconds(first, last, mac.bandwidth_gb_s) if mac.bandwidth_gb_s else None
        return Stage(
            mac.name, rank, first, last, weights, cache, self.overhead_bytes, mac.limit_bytes, mac.taken_bytes,
            self.steps.bytes(first, last), step_s,
        )  # fmt: skip


def _balanced(need: _Need) -> tuple[int, ...] | None:
    """Where the stages end. Each turn looks only at what the turns before found equally good."""
    layers, macs = need.card.layers, len(need.macs)
    fastest = split(layers, macs, need.seconds)
    if fastest is None:
        return None
    slowest_s = _worst(need.seconds, fastest)

    def fullness(rank: int, first: int, last: int) -> float:
        return max(need.fill(rank, first, last), TIGHT_SHARE) if need.seconds(rank, first, last) <= slowest_s else inf

    roomiest = split(layers, macs, fullness)
    assert roomiest is not None  # `fastest` is one of them
    fullest = _worst(fullness, roomiest)

    def unevenness(rank: int, first: int, last: int) -> float:
        """Equal times have the least sum of squares. Whole numbers, so that equal sums are equal; the emptier Mac decides between them."""
        if fullness(rank, first, last) > fullest:
            return inf
        square = round((need.seconds(rank, first, last) / slowest_s) ** 2 * _FINE)
        return square * _FINE + round(need.fill(rank, first, last) ** 2 * _FINE)

    return split_by_sum(layers, macs, unevenness)


def _worst(cost: Cost, ends: tuple[int, ...]) -> float:
    firsts = (0, *ends[:-1])
    return max(cost(rank, first, last) for rank, (first, last) in enumerate(zip(firsts, ends, strict=True)))


def _refuse_what_makes_no_sense(need: _Need) -> None:
    card, names = need.card, [mac.name for mac in need.macs]
    if not names:
        raise PlacementRefused(f"{card.name} has no Macs to be placed on")
    if card.layers < len(names):
        raise PlacementRefused(
            f"{card.name} has {card.layers} layers, too few for {len(names)} Macs with at least one each",
            hint=f"place it on {card.layers} Macs or fewer",
        )
    if card.context_tokens and need.context_tokens > card.context_tokens:
        raise PlacementRefused(
            f"{card.name} knows contexts of up to {card.context_tokens} tokens, not {need.context_tokens}",
            hint=f"set `context: {card.context_tokens}` or less for the service",
        )


def _refusal(need: _Need) -> PlacementRefused:
    card = need.card
    rooms = [_room(need, rank) for rank in range(len(need.macs))]
    truths = [_room_sentence(need, rank, room) for rank, room in enumerate(rooms)]
    truths.append(
        f"together they have room for {sum(rooms)} layers, {card.name} has {card.layers}: "
        f"{format_size(need.weights(0, card.layers))} of weights and {format_size(need.cache_sums[-1])} of KV cache "
        f"({need.concurrency} requests of {need.context_tokens} tokens)"
    )
    names = ", ".join(mac.name for mac in need.macs)
    return PlacementRefused(f"{card.name} does not fit on {names}", truths=truths, hint=_way_out(need, rooms))


def _ends_bytes(need: _Need, rank: int) -> int:
    """What the stage of this rank holds before its first layer."""
    card = need.card
    return need.overhead_bytes + card.embed_bytes * (rank == 0) + card.head_bytes * (rank == len(need.macs) - 1)


def _layer_bytes(need: _Need) -> tuple[int, int]:
    """Weights and cache of a layer of average size."""
    return need.weight_sums[-1] // need.card.layers, need.cache_sums[-1] // need.card.layers


def _room(need: _Need, rank: int) -> int:
    """How many layers of average size this Mac could hold."""
    return max(0, (need.macs[rank].usable_bytes - _ends_bytes(need, rank)) // sum(_layer_bytes(need)))


def _room_sentence(need: _Need, rank: int, room: int) -> str:
    mac = need.macs[rank]
    weights, cache = _layer_bytes(need)
    less = f", less {format_size(mac.taken_bytes)} for its other services" if mac.taken_bytes else ""
    return (
        f"{mac.name} may use {format_size(mac.usable_bytes)} "
        f"({USABLE_SHARE:.0%} of {format_size(mac.limit_bytes)}, {mac.limit_source()}{less}): "
        f"{format_size(_ends_bytes(need, rank))} beside the layers, then room for {room} layers "
        f"of {format_size(weights)} and {format_size(cache)} of KV cache each"
    )


def _way_out(need: _Need, rooms: Sequence[int]) -> str:
    too_small = [mac.name for mac, room in zip(need.macs, rooms, strict=True) if room == 0]
    if too_small and sum(rooms) >= need.card.layers:
        return f"leave out {', '.join(too_small)}: a Mac of the gang must hold at least one layer"
    raised = [replace(mac, wired_limit_bytes=mac.recommended_limit_bytes) for mac in need.macs]
    if _balanced(_Need(need.card, raised, need.context_tokens, need.concurrency)) is not None:
        limits = sorted({format_size(mac.recommended_limit_bytes) for mac in need.macs})
        return f"it would fit with `wired_limit: {' / '.join(limits)}` (what macOS can spare); then `macfleet provision`"
    if need.plain is need.card and need.card.kv_group_size is not None:
        in_8_bits = need.card.with_kv(need.card.kv_in(8))
        if _balanced(_Need(in_8_bits, need.macs, need.context_tokens, need.concurrency)) is not None:
            return "it would fit with `kv_bits: 8` for the service, which halves the KV cache and answers requests one by one"
    if _balanced(_Need(need.card, need.macs, 1024, 1)) is not None:
        return "it would fit with a smaller `context` or `concurrency`"
    alone = [replace(mac, taken_bytes=0) for mac in need.macs]
    if _balanced(_Need(need.card, alone, need.context_tokens, need.concurrency)) is not None:
        return "it would fit without the other services there: `macfleet status` shows them, `macfleet stop` ends one"
    return "it needs more Macs, Macs with more memory, or a smaller quantization of the model"
