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
from macfleet.worker.engine import Reach, Reuse, Tensor
from macfleet.worker.mlx.engine import MlxEngine
from tests.worker.tiny import DEEPSEEK, IDS, LLAMA, make_tiny

BASE = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    **IDS,
}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
# Windows shorter than the prompt, and full layers in between: their caches and masks differ.
WINDOW = {"sliding_window": 6, "sliding_window_pattern": 3}
LAYER_TYPES = ["sliding_attention", "sliding_attention", "full_attention"] * 2
YARN = {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64, "mscale": 1.0, "mscale_all_dim": 1.0}

GROUPS = {"n_group": 1, "topk_group": 1}
SPARSE_ATTENTION = {"index_head_dim": 16, "index_n_heads": 2, "index_topk": 8}
# Two linear layers for each full one.
LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_conv_kernel_dim": 4,
    "full_attention_interval": 3,
}
QWEN_EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "moe_intermediate_size": 16,
    "norm_topk_prob": True,
}
SHARED = {"shared_expert_intermediate_size": 16}
QWEN_ROPE = {"rope_parameters": {"type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, "mrope_section": [1, 1, 0]}}
DEEPSEEK_NAMES = {
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "norm_topk_prob": True,
    "routed_scaling_factor": 1.0,
    "moe_layer_freq": 1,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "attention_bias": False,
}


def inside(text_config):
    """A model that keeps its language part's config under `text_config`, as those that also see do."""
    return {"text_config": text_config, "num_hidden_layers": text_config["num_hidden_layers"], **IDS}


CONFIGS = {
    "cohere2": {**BASE, **WINDOW, "layer_norm_eps": 1e-5},
    "deepseek_v2": {**DEEPSEEK, **GROUPS, "topk_method": "gready", "rope_scaling": YARN},
    "deepseek_v3": DEEPSEEK,
    "deepseek_v32": {**DEEPSEEK, **SPARSE_ATTENTION},
    "ernie4_5_moe": {
        **BASE,
        "use_bias": False,
        "moe_num_experts": 4,
        "moe_layer_start_index": 1,
        "moe_layer_end_index": 5,
        "moe_intermediate_size": 16,
        "moe_k": 2,
        "moe_num_shared_experts": 1,
    },
    "gemma2": BASE,
    "gemma3_text": {**BASE, **WINDOW},
    "glm4": {**BASE, "attention_bias": False, "partial_rotary_factor": 0.5},
    "glm4_moe": {
        **BASE,
        **GROUPS,
        "moe_intermediate_size": 16,
        "norm_topk_prob": True,
        "n_shared_experts": 1,
        "n_routed_experts": 4,
        "routed_scaling_factor": 1.0,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
        "rope_scaling": None,
        "use_qk_norm": True,
        "attention_bias": False,
        "partial_rotary_factor": 0.5,
    },
    "glm4_moe_lite": {**DEEPSEEK, **GROUPS, "first_k_dense_replace": 1},
    "glm_moe_dsa": {
        **DEEPSEEK,
        **SPARSE_ATTENTION,
        **DEEPSEEK_NAMES,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    },
    "gpt_oss": {**BASE, **EXPERTS, "sliding_window": 6, "layer_types": LAYER_TYPES, "rope_scaling": None},
    "granite": {
        **BASE,
        "logits_scaling": 1.0,
        "attention_multiplier": 0.3,
        "embedding_multiplier": 2.0,
        "residual_multiplier": 0.5,
        "attention_bias": False,
        "mlp_bias": False,
        "rope_scaling": None,
    },
    "kimi_k25": inside({**DEEPSEEK, "model_type": "deepseek_v3"}),
    "llama": LLAMA,
    "llama4": inside(
        {
            **BASE,
            "model_type": "llama4_text",
            "attention_bias": False,
            "attention_chunk_size": 6,
            "interleave_moe_layer_step": 2,
            "intermediate_size_mlp": 48,
            "num_experts_per_tok": 1,
            "num_local_experts": 4,
            "rope_scaling": None,
            "use_qk_norm": True,
        }
    ),
    "minimax": {**BASE, **EXPERTS, "shared_intermediate_size": 16, "rotary_dim": 4},
    "ministral3": {
        **BASE,
        "sliding_window": 6,
        "layer_types": LAYER_TYPES,
        "rope_parameters": {"rope_theta": 10000.0, "llama_4_scaling_beta": 0.1, "original_max_position_embeddings": 64},
    },
    "mixtral": {**BASE, **EXPERTS},
    "olmo3": {**BASE, "sliding_window": 6, "layer_types": LAYER_TYPES},
    "phi3": BASE,
    "qwen2": {**BASE, "tie_word_embeddings": True},
    "qwen3": BASE,
    "qwen3_5": inside({**BASE, **LINEAR, **QWEN_ROPE, "model_type": "qwen3_5_text"}),
    "qwen3_5_moe": inside({**BASE, **LINEAR, **QWEN_ROPE, **QWEN_EXPERTS, **SHARED, "model_type": "qwen3_5_moe_text"}),
    "qwen3_moe": {**BASE, **QWEN_EXPERTS, "mlp_only_layers": [1]},
    "qwen3_next": {**BASE, **LINEAR, **QWEN_EXPERTS, **SHARED, "partial_rotary_factor": 0.5},
    "seed_oss": BASE,
    "smollm3": {**BASE, "no_rope_layer_interval": 3},
}
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


def check(picked, expected, what):
    token, logprobs = expected
    assert (what, picked.token) == (what, token)
    found = [value for _, value in picked.top_logprobs]
    assert np.allclose(found, [logprobs[other] for other, _ in picked.top_logprobs], atol=2e-4), what


@pytest.mark.parametrize("family", PROVEN)
def test_the_split_equals_the_whole(tmp_path, family):
    config = {**CONFIGS[family], "model_type": family}
    directory = make_tiny(tmp_path / family, config)
    expected = whole(directory)
    layers = config["num_hidden_layers"]

    for cuts in ([0, layers], [0, layers - 1, layers], [0, 1, 4, layers]):
        stages = Stages(directory, cuts)
        stages.open(1)
        stages.read(1, PROMPT)
        newest = PROMPT[-1]
        for step, one in enumerate(expected):
            picked = stages.pick(1, {1: newest})[1]
            check(picked, one, (cuts, step))
            newest = picked.token
    assert len({token for token, _ in expected}) > 2, "a model that repeats itself proves nothing"


@pytest.mark.parametrize("family", PROVEN)
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
