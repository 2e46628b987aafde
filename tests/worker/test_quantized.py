"""Quantised weights over stages: tokens and logits of the whole, from the files that are sent, as many bytes as were planned."""

import mlx.core as mx
import pytest
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load_model

from macfleet.serving.model import load_model as look_at
from macfleet.worker.mlx.prove import PROMPT, Stages, Whole, prove_alone, prove_sharing
from tests.worker.family_configs import CONFIGS
from tests.worker.quantized import make_quantized, mixed, stage

# Every width that is packed is a multiple of 32, the finest group there is.
WIDTHS = {
    "hidden_size": 64, "intermediate_size": 96, "head_dim": 32, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32,
    "kv_lora_rank": 32, "q_lora_rank": 32, "qk_nope_head_dim": 32, "qk_rope_head_dim": 32, "v_head_dim": 32,
}  # fmt: skip
FOUR_BITS = {"group_size": 32, "bits": 4}
MIXED = {**FOUR_BITS, "predicate": mixed}
EIGHT_BITS = {"group_size": 64, "bits": 8}
MXFP4 = {"group_size": 32, "bits": 4, "mode": "mxfp4"}
CASES = [
    pytest.param(family, how, is_tied, id=f"{family}-{name}-{'tied' if is_tied else 'own head'}")
    for family, name, how, is_tied in [
        ("llama", "4 bit", FOUR_BITS, True),
        ("llama", "8 bit", EIGHT_BITS, False),
        ("llama", "mixed", MIXED, True),
        ("llama", "mxfp4", MXFP4, True),
        ("qwen3_moe", "mxfp4", MXFP4, False),
        ("gpt_oss", "mxfp4", MXFP4, False),
        ("qwen3", "4 bit", FOUR_BITS, True),
        ("deepseek_v3", "4 bit", FOUR_BITS, False),
        ("deepseek_v3", "mixed", MIXED, False),
        ("qwen3_next", "mixed", MIXED, True),
    ]
]


@pytest.fixture
def packed(tmp_path, family, how, is_tied):
    config = {**CONFIGS[family], "model_type": family, "tie_word_embeddings": is_tied}
    return make_quantized(tmp_path, config | {key: width for key, width in WIDTHS.items() if key in config}, **how)


@pytest.mark.parametrize(("family", "how", "is_tied"), CASES)
def test_the_split_of_a_quantised_model_equals_the_whole(packed):
    whole = Whole(packed)
    assert len({token for token, _ in whole.says(PROMPT)}) > 2, "a model that repeats itself proves nothing"

    prove_alone(whole, (0, whole.layers - 1, whole.layers))
    for cuts in ((0, 1, whole.layers), (0, 1, 4, whole.layers)):
        stage(packed, cuts)
        prove_alone(whole, cuts)
    prove_sharing(whole, (0, 1, 4, whole.layers))


@pytest.mark.parametrize(("family", "how", "is_tied"), CASES)
def test_its_cache_is_as_wide_as_its_placement_counts(packed):
    model, _ = load_model(packed)
    cache = make_prompt_cache(model)

    model(mx.zeros((1, 2), mx.int32), cache=cache)
    mx.eval([layer.state for layer in cache])

    counted = look_at("packed", packed).card.kv_bytes_per_layer
    assert [layer.nbytes / 256 for layer, bytes_ in zip(cache, counted, strict=True) if bytes_] == [bytes_ for bytes_ in counted if bytes_]


@pytest.mark.parametrize(("family", "how", "is_tied"), CASES)
def test_a_stage_loads_as_many_bytes_as_its_placement_counts(packed):
    whole = Whole(packed)
    cuts = (0, 1, 4, whole.layers)

    card = stage(packed, cuts)

    from_stage_files = [engine.weight_bytes for engine in Stages(whole, cuts).engines]
    from_the_whole = [engine.weight_bytes for engine in Stages(whole, (0, 2, whole.layers)).engines]
    assert from_stage_files == [card.weight_bytes(0, 1), card.weight_bytes(1, 4), card.weight_bytes(4, whole.layers)]
    assert from_the_whole == [card.weight_bytes(0, 2), card.weight_bytes(2, whole.layers)]
