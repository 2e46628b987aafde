"""Whether a model survives being split: small random models of its config over 2 and 3 stages, alone and sharing batches,
compared with the whole by tokens and log probabilities.

The tests prove with this the families on the allow-list; `deploy --unproven` proves with it the one that is asked for.
"""

from __future__ import annotations

import itertools
import tempfile
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.generate import generate_step
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load_model

from macfleet.core.errors import MacfleetError
from macfleet.engines.protocol import Sampling
from macfleet.models.kv import KvQuantization
from macfleet.models.shrink import shrunken
from macfleet.weights.index import read_index
from macfleet.weights.stage import stage_tensors
from macfleet.worker.engine import NotPicked, Picked, Reach, Reuse, Tensor
from macfleet.worker.mlx.engine import MlxEngine
from macfleet.worker.mlx.kv import is_quantized, quantized
from macfleet.worker.mlx.tiny import make_tiny

PROMPT = (5, 17, 3, 88, 41, 9, 60, 12, 33, 7, 71, 2, 50, 50, 8)
COUNT = 10
_CHUNK = 4
_CLOSE = 2e-4  # of natural logarithms of probabilities, in float32
_SEEDS = 3
_SAME_REASON = 3  # one that does not change with the sizes is not about them
_FEWEST_TOKENS = 3  # a model that repeats itself proves little

Cuts = tuple[int, ...]
Scored = tuple[int, np.ndarray]  # a token, and the logarithm of every token's probability


class NotProved(MacfleetError):
    """A split model does not say what the whole one says, or cannot be tried."""


class Whole:
    """A small model in one piece, and what mlx-lm's own loop says to a prompt."""

    def __init__(self, directory: Path, kv: KvQuantization | None = None):
        self.directory, self.kv = directory, kv
        self._model, _ = load_model(directory)
        self._said: dict[tuple[int, ...], list[Scored]] = {}

    @property
    def layers(self) -> int:
        return len(self._model.layers)

    def says(self, prompt: Sequence[int]) -> list[Scored]:
        if tuple(prompt) not in self._said:
            self._said[tuple(prompt)] = self._say(prompt)
        return self._said[tuple(prompt)]

    def fresh_cache(self) -> list[Any]:
        cache: list[Any] = make_prompt_cache(self._model)
        return quantized(cache, self.kv) if self.kv else cache

    def _say(self, prompt: Sequence[int]) -> list[Scored]:
        said = generate_step(
            mx.array(list(prompt)),
            self._model,
            max_tokens=COUNT,
            prefill_step_size=_CHUNK,
            prompt_cache=self.fresh_cache(),
            stream=mx.default_stream(mx.default_device()),  # its own was made for the device of the time when it was imported
        )
        return [(token, np.array(logprobs)) for token, logprobs in said]


@dataclass(frozen=True)
class Proof:
    """What was shown of a family. `why_alone`: why its requests may not share batches; empty when they may."""

    family: str
    layers: int
    stages: tuple[int, ...]
    why_alone: str = ""

    @property
    def is_batched(self) -> bool:
        return not self.why_alone


def prove(config: Mapping[str, Any], kv: KvQuantization | None = None) -> Proof:
    """The proof for models of this config.json, on the CPU: in float32, and the same on every Mac. Raises NotProved with the reason."""
    mx.set_default_device(mx.cpu)
    with tempfile.TemporaryDirectory(prefix="macfleet-prove-") as folder:
        whole = _runnable(config, Path(folder), kv)
        if kv and not is_quantized(whole.fresh_cache()):
            raise NotProved("none of its caches is of the kind that mlx-lm keeps in fewer bits")
        if whole.layers < 3:
            raise NotProved(f"a model of {whole.layers} layers cannot be split in three")
        in_two = [(0, cut, whole.layers) for cut in range(1, whole.layers)]
        in_three = (0, 1, (whole.layers + 2) // 2, whole.layers)
        for cuts in (*in_two, in_three):
            prove_alone(whole, cuts)
        why_alone = _why_alone(whole, in_two[len(in_two) // 2]) or _why_alone(whole, in_three)
        return Proof(str(config.get("model_type")), whole.layers, (2, 3), why_alone)


def prove_alone(whole: Whole, cuts: Cuts) -> None:
    """One request over stages that begin at `cuts`. Raises NotProved."""
    stages = Stages(whole, cuts)
    stages.refuse_other_files()
    stages.open(1)
    stages.read(1, PROMPT)
    newest = PROMPT[-1]
    for number, expected in enumerate(whole.says(PROMPT)):
        check(stages.pick(1, {1: newest})[1], expected, f"{stages}, token {number}")
        newest = expected[0]


def prove_sharing(whole: Whole, cuts: Cuts, *, batched: bool | None = None) -> None:
    """Several requests of unequal length that come, go, change lanes and go on from a kept prefix. Raises NotProved.

    `batched`: those in a lane are one batch, otherwise each takes a step of its own; None: as is known of the family.
    """
    scene = _Scene(whole, Stages(whole, cuts, batched=batched))
    scene.enter(1, PROMPT)
    scene.step(1, 1)
    scene.enter(2, PROMPT[3:9])
    scene.step(1, 1, 2)
    scene.step(1, 1, 2)
    scene.enter(3, (*PROMPT, *PROMPT[:6]))
    scene.step(1, 1, 2, 3)
    scene.step(2, 3)  # changes lanes
    scene.step(1, 1, 2)
    scene.leave(2)
    scene.step(1, 1, 3)  # one goes, one comes
    known = scene.keep(1, prefix=7)
    scene.step(1, 3)
    scene.leave(1)
    scene.step(1, 3)
    scene.enter(4, (*known, 8, 30), Reuse(7, len(known)))
    scene.step(1, 3, 4)
    scene.step(1, 3, 4)
    if scene.stages.reach is Reach.ANY:
        scene.enter(5, (*known[:9], 8, 30), Reuse(7, 9))
        scene.step(1, 3, 4, 5)
    # A prompt of one token comes with nothing in its caches, which a batch pads, and not every family takes the two for the same.
    scene.enter(6, PROMPT[:1])
    scene.step(1, 3, 4, 6)
    scene.enter(7, PROMPT[:1])
    scene.enter(8, PROMPT[1:2])
    scene.step(2, 7, 8)
    scene.enter(9, PROMPT[:1])
    scene.step(2, 7, 8, 9, 4)
    scene.step(2, 8, 4)


def check(picked: Picked | NotPicked, expected: Scored, where: str) -> None:
    """Raises NotProved unless this is what the whole said; of two tokens that it holds for equally likely, either."""
    token, logprobs = expected
    if isinstance(picked, NotPicked):
        raise NotProved(f"{where}: {picked.reason}")
    if picked.token != token and logprobs[token] - logprobs[picked.token] > _CLOSE:
        raise NotProved(f"{where}: the split says {picked.token}, the whole {token}")
    for other, logprob in picked.top_logprobs:
        if not abs(logprob - logprobs[other]) <= _CLOSE + 1e-5 * abs(logprobs[other]):
            raise NotProved(f"{where}: the split gives token {other} a log probability of {logprob:.4f}, the whole {logprobs[other]:.4f}")


class Stages:
    """The engines of a gang, called one after another in one process."""

    def __init__(self, whole: Whole, cuts: Cuts, *, batched: bool | None = None):
        self.cuts = cuts
        self._directory = whole.directory
        self.engines = [
            MlxEngine(whole.directory, first, last, is_last=last == cuts[-1], is_proved=True, batched=batched, kv=whole.kv)
            for first, last in itertools.pairwise(cuts)
        ]
        self.can_batch = self.engines[0].can_batch
        self.reach = self.engines[0].reach
        self._position: dict[int, int] = {}

    def __str__(self) -> str:
        return "layers " + " | ".join(f"{first}-{last - 1}" for first, last in itertools.pairwise(self.cuts))

    def open(self, slot: int, reuse: Reuse | None = None) -> None:
        self._position[slot] = reuse.tokens if reuse else 0
        for engine in self.engines:
            engine.open(slot, Sampling(logprobs=20), reuse)

    def read(self, slot: int, prompt: Sequence[int]) -> None:
        """All but the last token, in chunks."""
        for start in range(self._position[slot], len(prompt) - 1, _CHUNK):
            tokens = prompt[start : min(start + _CHUNK, len(prompt) - 1)]
            tensor: Tensor | None = Tensor("int32", (1, len(tokens)), array("i", tokens).tobytes())
            for engine in self.engines:
                assert tensor is not None
                tensor = engine.feed(slot, start, tensor)
            self._position[slot] += len(tokens)

    def pick(self, lane: int, newest: Mapping[int, int]) -> dict[int, Picked | NotPicked]:
        """`newest`: slot → its newest token, the rows of the lane in this order."""
        slots, positions = list(newest), [self._position[slot] for slot in newest]
        tensor = Tensor("int32", (len(slots), 1), array("i", newest.values()).tobytes())
        for engine in self.engines[:-1]:
            tensor = engine.step(lane, slots, positions, tensor)
        for slot in slots:
            self._position[slot] += 1
        return dict(zip(slots, self.engines[-1].pick(lane, slots, positions, tensor), strict=True))

    def keep(self, slot: int, prefix: int) -> None:
        for engine in self.engines:
            engine.keep(slot, prefix)

    def free(self, slot: int) -> None:
        for engine in self.engines:
            engine.free(slot)

    def refuse_other_files(self) -> None:
        """What `deploy` would stage for each of these stages must be what its worker loads."""
        file = self._directory / "model.safetensors"
        index = read_index({file.name: file.stat().st_size}, lambda _name, start, length: file.read_bytes()[start : start + length])
        layout = index.layout({"num_hidden_layers": self.cuts[-1]})
        for engine, (first, last) in zip(self.engines, itertools.pairwise(self.cuts), strict=True):
            staged = {tensor.name for tensor in stage_tensors(index, layout, first, last)}
            if staged != set(engine.names):
                odd = sorted(staged ^ set(engine.names))
                raise NotProved(f"layers {first}-{last - 1}: {odd[0]} would be staged and not loaded, or the other way round")


@dataclass
class _Scene:
    """Requests, the tokens the whole model has for each, and how far each one has come."""

    whole: Whole
    stages: Stages
    _prompts: dict[int, Sequence[int]] = field(default_factory=dict)
    _told: dict[int, int] = field(default_factory=dict)

    def enter(self, slot: int, prompt: Sequence[int], reuse: Reuse | None = None) -> None:
        self._prompts[slot], self._told[slot] = prompt, 0
        self.stages.open(slot, reuse)
        self.stages.read(slot, prompt)

    def step(self, lane: int, *slots: int) -> None:
        for rows in [slots] if self.stages.can_batch else [(slot,) for slot in slots]:
            picked = self.stages.pick(lane, {slot: self._known(slot)[-1] for slot in rows})
            for slot in rows:
                where = f"{self.stages}, {len(rows)} in a batch, request {slot}, token {self._told[slot]}"
                check(picked[slot], self.whole.says(self._prompts[slot])[self._told[slot]], where)
                self._told[slot] += 1

    def keep(self, slot: int, prefix: int) -> tuple[int, ...]:
        """The tokens that are in its caches: all but the newest."""
        self.stages.keep(slot, prefix)
        return self._known(slot)[:-1]

    def leave(self, slot: int) -> None:
        self.stages.free(slot)

    def _known(self, slot: int) -> tuple[int, ...]:
        prompt = self._prompts[slot]
        return (*prompt, *(token for token, _ in self.whole.says(prompt)[: self._told[slot]]))


def _why_alone(whole: Whole, cuts: Cuts) -> str:
    """Empty when requests that share a batch are answered as if alone. Raises NotProved when not even taking turns goes well."""
    why = "" if Stages(whole, cuts, batched=True).can_batch else "mlx-lm cannot merge its caches"
    try:
        if not why:
            prove_sharing(whole, cuts, batched=True)
    except Exception as error:  # whatever a family's own code raises for a batch
        why = str(error) or type(error).__name__
    if why:
        prove_sharing(whole, cuts, batched=False)
    return why


def _runnable(config: Mapping[str, Any], folder: Path, kv: KvQuantization | None) -> Whole:
    """The smallest model of this config that mlx-lm runs as a whole, with a seed for which its tokens vary."""
    reason, times = "its sizes cannot be divided", 0
    for number, small in enumerate(shrunken(config, least_in_a_head=kv.group_size if kv else 4)):
        for seed in range(_SEEDS):
            try:
                whole = Whole(make_tiny(folder / f"{number}-{seed}", small, seed=seed), kv)
                said = whole.says(PROMPT)
            except (Exception, SystemExit) as error:  # a family may do anything, models/olmo.py of mlx-lm even exits
                said, why = (
                    [],
                    f"its code ends the process ({error})" if isinstance(error, SystemExit) else str(error) or type(error).__name__,
                )
            else:
                why = "" if all(np.isfinite(logprobs).all() for _, logprobs in said) else "its numbers overflow"
            if why:
                reason, times = why, times + 1 if why == reason else 1
                break
            if len({token for token, _ in said}) >= _FEWEST_TOKENS or seed == _SEEDS - 1:
                return whole
        if times == _SAME_REASON:
            break
    raise NotProved(f"mlx-lm runs no small model of this config: {reason}")
