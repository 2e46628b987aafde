"""Configs made small: what belongs together still fits, and every kind of layer is still there."""

import pytest

from macfleet.models.shrink import shrunken
from tests.worker.full_configs import RING_MINI

GQA = {
    "model_type": "some",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "vocab_size": 128256,
    "eos_token_id": [128001, 128009],
    "rope_theta": 500000,
    "quantization": {"bits": 4, "group_size": 64},
}


def smallest(config, **options):
    return next(shrunken(config, **options))


def test_heads_and_what_is_in_a_head_still_make_the_width():
    small = smallest(GQA)

    assert small["num_attention_heads"] * small["head_dim"] == small["hidden_size"] < 100
    assert (small["num_attention_heads"], small["num_key_value_heads"]) == (8, 2)
    assert small["vocab_size"] == 128
    assert max(small["eos_token_id"]) < 128
    assert small["rope_theta"] == 500000
    assert "quantization" not in small


def test_the_last_one_keeps_every_width():
    *_, last = shrunken(GQA)

    assert {key: last[key] for key in ("hidden_size", "head_dim", "num_attention_heads", "intermediate_size")} == {
        key: GQA[key] for key in ("hidden_size", "head_dim", "num_attention_heads", "intermediate_size")
    }
    assert last["num_hidden_layers"] == 6


def test_what_is_in_a_head_stays_long_enough_for_a_quantised_cache():
    assert smallest(GQA, least_in_a_head=32)["head_dim"] == 32


def test_the_experts_still_fit_their_groups():
    small = smallest(RING_MINI)

    assert (small["num_experts"], small["n_group"], small["topk_group"], small["num_experts_per_tok"]) == (8, 2, 1, 2)


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ({"layer_group_size": 5}, {"num_hidden_layers": 10}),
        ({"full_attention_interval": 4}, {"num_hidden_layers": 8}),
        ({"layer_types": (["local"] * 5 + ["all"]) * 5 + ["local"] * 2}, {"layer_types": (["local"] * 5 + ["all"]) * 2}),
        ({"hybrid_override_pattern": "MEM*" * 8}, {"hybrid_override_pattern": "MEM*" * 2}),
        ({"full_attn_idxs": [2, 8, 14, 20, 26]}, {"full_attn_idxs": [2, 8]}),
        ({"full_attn_layers": [4, 8, 12, 16, 32]}, {"full_attn_layers": [4, 8], "num_hidden_layers": 8}),
        ({"mlp_only_layers": []}, {"mlp_only_layers": [], "num_hidden_layers": 6}),
        ({"moe_layer_start_index": 3, "moe_layer_end_index": 31}, {"moe_layer_start_index": 3, "moe_layer_end_index": 5}),
        ({"max_window_layers": 32}, {"max_window_layers": 6}),
    ],
)
def test_every_kind_of_layer_comes_twice_and_in_its_place(pattern, kept):
    small = smallest(GQA | pattern)

    assert {key: small[key] for key in kept} == kept


def test_a_window_is_shorter_than_what_is_tried():
    small = smallest(GQA | {"sliding_window": 4096, "attention_chunk_size": 8192, "mamba_chunk_size": 256})

    assert (small["sliding_window"], small["attention_chunk_size"], small["mamba_chunk_size"]) == (6, 6, 256)


def test_the_language_part_of_a_model_that_sees_is_shrunk_and_its_eyes_are_left():
    eyes = {"hidden_size": 1152, "num_hidden_layers": 27}

    small = smallest({"model_type": "seer", "text_config": GQA, "vision_config": eyes, "image_token_id": 200_000})

    assert small["text_config"] == smallest(GQA)
    assert (small["vision_config"], small["image_token_id"]) == (eyes, 127)


def test_factors_of_frequencies_are_as_many_as_frequencies():
    small = smallest(GQA | {"rope_scaling": {"type": "longrope", "long_factor": [1.0] * 64}})

    assert len(small["rope_scaling"]["long_factor"]) == small["head_dim"] // 2


def test_heads_that_share_keys_and_values_still_do():
    small = smallest(GQA | {"num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256, "hidden_size": 2048})

    assert (small["num_attention_heads"], small["num_key_value_heads"], small["head_dim"]) == (16, 2, 8)
