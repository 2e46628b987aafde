"""What the arithmetic says of a config.json, against the caches that mlx-lm makes of it."""

import pytest

from macfleet.core.errors import WeightsBroken
from macfleet.models.arithmetic import card_from_config, kv_bytes_per_layer, kv_group_size, state_bytes_per_layer
from macfleet.models.kv import KvQuantization
from macfleet.models.layout import Part, layout_of

SMALL = {
    "vocab_size": 64, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 4, "intermediate_size": 32,
    "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 1e4, "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip
LATENT = {
    **SMALL, "num_key_value_heads": 4, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8,
    "v_head_dim": 8, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
    "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.0,
    "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": True, "attention_bias": False, "rope_scaling": None,
}  # fmt: skip
YARN = {"type": "yarn", "factor": 1.0, "mscale_all_dim": 0, "original_max_position_embeddings": 2048}
LINEAR = {
    **SMALL, "model_type": "qwen3_5_text", "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 32,
    "linear_value_head_dim": 16, "linear_conv_kernel_dim": 4, "full_attention_interval": 2, "tie_word_embeddings": False,
    "attention_bias": False,
}  # fmt: skip
CONFIGS = [
    {**SMALL, "model_type": "llama"},
    {**SMALL, "model_type": "qwen3", "tie_word_embeddings": True},
    {**LATENT, "model_type": "deepseek_v3"},
    {**LATENT, "model_type": "deepseek_v2", "topk_method": "greedy", "rope_scaling": YARN},
    {**LATENT, "model_type": "deepseek_v32", "index_n_heads": 2, "index_head_dim": 16, "index_topk": 2048},
    {**LATENT, "model_type": "glm4_moe_lite"},
    {**SMALL, "model_type": "gpt_oss", "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 128,
     "layer_types": ["sliding_attention", "full_attention"] * 2},
    {**SMALL, "model_type": "gemma3_text", "sliding_window": 128, "sliding_window_pattern": 2, "query_pre_attn_scalar": 16,
     "rope_global_base_freq": 1e6, "rope_local_base_freq": 1e4, "rope_traditional": False},
    {"model_type": "qwen3_5", "text_config": LINEAR},
]  # fmt: skip


def long_heads(config):
    """Heads of 64 values, which share one scale in a KV cache of fewer bits."""
    if "text_config" in config:
        return config | {"text_config": long_heads(config["text_config"])}
    return {key: 8 * value if key in ("hidden_size", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim") else value
            for key, value in (config | {"head_dim": 64}).items()}  # fmt: skip


def cache_bytes(config, chunks, kv=None):
    """Bytes per layer that mlx-lm's own caches have after each chunk of tokens, in float32."""
    mx = pytest.importorskip("mlx.core")
    from mlx_lm.models.cache import make_prompt_cache
    from mlx_lm.utils import _get_classes

    from macfleet.worker.mlx.kv import quantized

    model_class, args_class = _get_classes(config)
    model = model_class(args_class.from_dict(config))
    cache = quantized(make_prompt_cache(model), kv) if kv else make_prompt_cache(model)
    seen = []
    for tokens in chunks:
        model(mx.zeros((1, tokens), mx.int32), cache=cache)
        mx.eval([layer.state for layer in cache])
        seen.append([layer.nbytes for layer in cache])
    return seen


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config["model_type"])
def test_the_cache_grows_as_mlx_lm_s_own_does(config):
    before, after = cache_bytes(config, [256, 512])

    grown = [(late - early) / 512 for early, late in zip(before, after, strict=True)]
    counted = kv_bytes_per_layer(config, element_bytes=4)

    assert [bytes_ for bytes_, full in zip(grown, counted, strict=True) if full] == [full for full in counted if full]


@pytest.mark.parametrize(
    "config", [config for config in CONFIGS if 0 in kv_bytes_per_layer(config)], ids=lambda config: config["model_type"]
)
def test_a_window_or_a_linear_state_never_keeps_more_than_counted(config):
    *_, kept = cache_bytes(config, [256, 512, 512])

    for layer, state in enumerate(state_bytes_per_layer(config, element_bytes=4)):
        assert state == 0 or 0 < kept[layer] <= state


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    "config", [config for config in CONFIGS if kv_group_size(long_heads(config))], ids=lambda config: config["model_type"]
)
def test_a_cache_in_fewer_bits_grows_as_it_is_counted(config, bits):
    config = long_heads(config)
    kv = KvQuantization(bits, kv_group_size(config))

    before, after = cache_bytes(config, [256, 512], kv)

    grown = [(late - early) / 512 for early, late in zip(before, after, strict=True)]
    wide = kv_bytes_per_layer(config, element_bytes=4)
    counted = [kv.bytes_for(full // 4, 4) for full in wide]
    assert [bytes_ for bytes_, full in zip(grown, counted, strict=True) if full] == [full for full in counted if full]
    assert sum(counted) < sum(wide) / 2


@pytest.mark.parametrize(
    ("config", "group"),
    [
        ({"model_type": "llama", "head_dim": 128}, 64),
        ({"model_type": "llama", "hidden_size": 576, "num_attention_heads": 9}, 64),
        ({"model_type": "phi3", "hidden_size": 3072, "num_attention_heads": 32}, 32),
        ({"model_type": "qwen2", "hidden_size": 2560, "num_attention_heads": 32}, None),
        ({"model_type": "deepseek_v2", "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}, 64),
        ({"model_type": "deepseek_v3", "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}, None),
        ({"model_type": "gpt_oss", "head_dim": 64}, None),
        ({"model_type": "of_no_test", "head_dim": 64}, 64),
    ],
)
def test_values_share_a_scale_where_the_family_and_its_heads_allow_it(config, group):
    assert kv_group_size(config) == group


def test_the_latent_of_deepseek_v3_has_576_numbers_per_layer():
    config = {"model_type": "deepseek_v3", "num_hidden_layers": 61, "num_attention_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64}

    assert sum(kv_bytes_per_layer(config)) == 70272


def test_a_hybrid_of_unknown_kind_is_counted_as_full_attention():
    assert kv_bytes_per_layer({**SMALL, "model_type": "new", "layer_types": ["full_attention"]}) == (128,) * 4


def test_shared_tensors_are_counted_with_every_layer():
    sizes = {"model.embed_tokens.weight": 100, "model.layers.0.a.weight": 1, "model.layers.1.a.weight": 2, "model.rope_table": 10}

    card = card_from_config("m", {"num_hidden_layers": 2, "vocab_size": 8}, sizes)

    assert (card.layer_bytes, card.embed_bytes, card.head_bytes, card.is_tied) == ((11, 12), 100, 100, True)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("language_model.model.embed_tokens.weight", Part.EMBEDDING),
        ("language_model.model.layers.1.mlp.gate.weight", Part.LAYER),
        ("language_model.model.layers.2.mlp.gate.weight", Part.UNUSED),
        ("language_model.model.norm.weight", Part.HEAD),
        ("language_model.lm_head.scales", Part.HEAD),
        ("vision_tower.blocks.0.norm.weight", Part.UNUSED),
        ("multi_modal_projector.layers.0.weight", Part.UNUSED),
        ("language_model.model.rope_table", Part.SHARED),
    ],
)
def test_a_tensor_s_name_says_its_part(name, part):
    names = ["language_model.model.embed_tokens.weight", *(f"language_model.model.layers.{layer}.mlp.gate.weight" for layer in (0, 1))]

    layout = layout_of([*names, "language_model.lm_head.weight"], {"text_config": {"num_hidden_layers": 2}})

    assert layout.part_of(name) is part


@pytest.mark.parametrize(
    ("names", "config", "said"),
    [
        (["a.weight"], {"num_hidden_layers": 1}, "the weights hold no layers with a name like model.layers.0."),
        (["model.layers.0.a"], {}, "config.json does not say how many layers the model has"),
        (["model.layers.0.a", "model.layers.3.a"], {"num_hidden_layers": 4}, "the weights hold no layers 1, 2 of 4"),
    ],
)
def test_weights_that_are_not_a_whole_model_are_refused(names, config, said):
    with pytest.raises(WeightsBroken) as caught:
        layout_of(names, config)

    assert caught.value.what.startswith(said)
