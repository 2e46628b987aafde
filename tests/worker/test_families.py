"""Why a family is on the allow-list: its split over stages, uneven ones too, gives the tokens and the logits of the whole."""

import itertools
from array import array

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.generate import generate_step
from mlx_lm.utils import MODEL_REMAPPING, load_model

from macfleet.engines.protocol import Sampling
from macfleet.models.families import ALIASES, PROVEN
from macfleet.weights.index import read_index
from macfleet.weights.stage import stage_tensors
from macfleet.worker.engine import Reach, Reuse, Tensor
from macfleet.worker.mlx.engine import MlxEngine
from tests.worker.family_configs import CONFIGS, USUAL
from tests.worker.tiny import make_tiny

PROMPT = [5, 17, 3, 88, 41, 9, 60, 12, 33, 7, 71, 2, 50, 50, 8]
COUNT = 10


def test_every_family_on_the_list_is_tested_here():
    assert tuple(sorted(CONFIGS)) == PROVEN


def test_an_alias_is_what_mlx_lm_runs_it_as():
    assert {alias: MODEL_REMAPPING[alias] for alias in ALIASES} == ALIASES
    assert set(ALIASES.values()) <= set(PROVEN)


def whole(directory, prompt=PROMPT):
    """Token and logprobs of mlx-lm's own loop over the whole model."""
    model, _ = load_model(directory)
    picked = []
    for (token, logprobs), _ in zip(
        generate_step(mx.array(prompt), model, max_tokens=COUNT, prefill_step_size=4), range(COUNT), strict=True
    ):
        picked.append((token, np.array(logprobs)))
    return picked


class Stages:
    """The engines of a gang, called one after another."""

    def __init__(self, directory, cuts):
        self.engines = [MlxEngine(directory, first, last, is_last=last == cuts[-1]) for first, last in itertools.pairwise(cuts)]
        self.position = {}

    def open(self, slot, reuse=None):
        self.position[slot] = reuse.tokens if reuse else 0
        for engine in self.engines:
            engine.open(slot, Sampling(logprobs=20), reuse)

    def read(self, slot, prompt):
        """All but the last token, in chunks."""
        for start in range(self.position[slot], len(prompt) - 1, 4):
            tokens = prompt[start : min(start + 4, len(prompt) - 1)]
            tensor = Tensor("int32", (1, len(tokens)), array("i", tokens).tobytes())
            for engine in self.engines:
                tensor = engine.feed(slot, start, tensor)
            self.position[slot] += len(tokens)

    def pick(self, lane, newest):
        """`newest`: slot → its newest token, the rows of the lane in this order."""
        slots, positions = list(newest), [self.position[slot] for slot in newest]
        tensor = Tensor("int32", (len(slots), 1), array("i", newest.values()).tobytes())
        for engine in self.engines[:-1]:
            tensor = engine.step(lane, slots, positions, tensor)
        for slot in slots:
            self.position[slot] += 1
        return dict(zip(slots, self.engines[-1].pick(lane, slots, positions, tensor), strict=True))

    def each(self, verb, *args):
        for engine in self.engines:
            getattr(engine, verb)(*args)


def loaded(stages):
    return [sorted(engine.names) for engine in stages.engines]


def staged(directory, config, cuts):
    """What the file of each stage would hold. Whether the head is the embedding, the tensors say."""

    def read(name, start, length):
        return (directory / name).read_bytes()[start : start + length]

    file = directory / "model.safetensors"
    index = read_index({file.name: file.stat().st_size}, read)
    layout = index.layout(untied(config))
    return [[tensor.name for tensor in stage_tensors(index, layout, first, last)] for first, last in itertools.pairwise(cuts)]


def untied(config):
    return {key: untied(value) if isinstance(value, dict) else value for key, value in config.items() if key != "tie_word_embeddings"}


def check(picked, expected, what):
    token, logprobs = expected
    assert (what, picked.token) == (what, token)
    found = [value for _, value in picked.top_logprobs]
    assert np.allclose(found, [logprobs[other] for other, _ in picked.top_logprobs], atol=2e-4), what


FAMILIES = [pytest.param(family, marks=() if family in USUAL else pytest.mark.rehearsal) for family in PROVEN]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_split_equals_the_whole(tmp_path, family):
    config = {**CONFIGS[family], "model_type": family}
    directory = make_tiny(tmp_path / family, config)
    expected = whole(directory)
    layers = config["num_hidden_layers"]

    for cuts in ([0, layers], [0, layers - 1, layers], [0, 1, 4, layers]):
        stages = Stages(directory, cuts)
        assert loaded(stages) == [*map(sorted, staged(directory, config, cuts))], "a stage's own file has what its worker loads"
        stages.open(1)
        stages.read(1, PROMPT)
        newest = PROMPT[-1]
        for step, one in enumerate(expected):
            picked = stages.pick(1, {1: newest})[1]
            check(picked, one, (cuts, step))
            newest = picked.token
    assert len({token for token, _ in expected}) > 2, "a model that repeats itself proves nothing"


@pytest.mark.parametrize("family", FAMILIES)
def test_who_shares_a_lane_is_answered_as_if_alone(tmp_path, family):
    """Rows of unequal length that come, go, change lanes and go on from a kept prefix."""
    config = {**CONFIGS[family], "model_type": family}
    directory = make_tiny(tmp_path / family, config)
    prompts = {1: PROMPT, 2: PROMPT[3:9], 3: [*PROMPT, *PROMPT[:6]]}
    expected = {slot: whole(directory, prompt) for slot, prompt in prompts.items()}
    stages = Stages(directory, [0, 2, config["num_hidden_layers"]])
    if not stages.engines[0].can_batch:
        pytest.skip("mlx-lm does not batch this family either: its lanes have one row")
    newest, told = {}, dict.fromkeys(prompts, 0)

    def enter(slot):
        stages.open(slot)
        stages.read(slot, prompts[slot])
        newest[slot] = prompts[slot][-1]

    def step(lane, *slots):
        for slot, picked in stages.pick(lane, {slot: newest[slot] for slot in slots}).items():
            check(picked, expected[slot][told[slot]], (slot, told[slot]))
            newest[slot] = picked.token
            told[slot] += 1

    enter(1)
    step(1, 1)
    enter(2)
    step(1, 1, 2)
    step(1, 1, 2)
    enter(3)
    step(1, 1, 2, 3)
    step(2, 3)  # changes lanes
    step(1, 1, 2)
    stages.each("free", 2)
    step(1, 1, 3)  # one goes, one comes
    stages.each("keep", 1, 7)
    step(1, 3)
    stages.each("free", 1)
    step(1, 3)

    known = [*PROMPT, *(token for token, _ in expected[1][: told[1] - 1])]
    prompts[4], told[4] = [*known, 8, 30], 0
    expected[4] = whole(directory, prompts[4])
    stages.open(4, Reuse(7, len(known)))
    stages.read(4, prompts[4])
    newest[4] = prompts[4][-1]
    step(1, 3, 4)
    step(1, 3, 4)
    if stages.engines[0].reach is Reach.ANY:
        prompts[5], told[5] = [*known[:9], 8, 30], 0
        expected[5] = whole(directory, prompts[5])
        stages.open(5, Reuse(7, 9))
        stages.read(5, prompts[5])
        newest[5] = prompts[5][-1]
        step(1, 3, 4, 5)
