"""What is counted for the cache of a config.json, against the caches that mlx-lm makes of it."""

from dataclasses import MISSING, fields
from importlib import import_module

import pytest

from macfleet.core.errors import WeightsBroken
from macfleet.models.arithmetic import kv_group_size
from macfleet.models.caches import layer_caches
from macfleet.models.families import PROVEN
from macfleet.models.kv import KvQuantization, allocated_tokens
from tests.worker.family_configs import CONFIGS, with_long_heads

mx = pytest.importorskip("mlx.core")

FLOAT32 = 4
CHUNK = 512  # the longest that a worker reads at once


def config_of(family):
    return {**CONFIGS[family], "model_type": family}


def fresh_cache(config, kv=None):
    from mlx_lm.models.cache import make_prompt_cache
    from mlx_lm.utils import _get_classes

    from macfleet.worker.mlx.kv import quantized

    model_class, arguments = _get_classes(config)
    model = model_class(arguments.from_dict(dict(config)))
    cache = make_prompt_cache(model)
    return model, quantized(cache, kv) if kv else cache


def kept(config, chunks, kv=None):
    """mlx-lm's own caches after these chunks of tokens, one for each layer, in float32."""
    model, cache = fresh_cache(config, kv)
    for tokens in chunks:
        model(mx.zeros((1, tokens), mx.int32), cache=cache)
        mx.eval([layer.state for layer in cache])
    return cache


def expected(cache, tokens):
    """(bytes per token, bytes however long it is) that this cache shows after one chunk of so few tokens."""
    match type(cache).__name__:
        case "KVCache" | "QuantizedKVCache" | "CacheList":
            return cache.nbytes / 256, 0
        case "RotatingKVCache":
            return 0, cache.nbytes / tokens * (cache.max_size + CHUNK)
        case "ChunkedKVCache":
            return 0, cache.nbytes / 256 * (cache.chunk_size + CHUNK)
        case "ArraysCache":
            return 0, cache.nbytes


def counted(config):
    return [(layer.token_bytes, layer.state_bytes) for layer in layer_caches(config, FLOAT32)]


@pytest.mark.parametrize("family", PROVEN)
def test_a_family_s_caches_are_counted_as_mlx_lm_makes_them(family):
    cache = kept(config_of(family), [3])

    assert counted(config_of(family)) == [expected(layer, 3) for layer in cache]


OFTEN_LEFT_OUT = {
    "full_attention_interval", "head_dim", "index_head_dim", "kv_channels", "kv_lora_rank", "linear_conv_kernel_dim",
    "linear_key_head_dim", "linear_num_key_heads", "linear_num_value_heads", "linear_value_head_dim", "num_key_value_heads",
    "qk_nope_head_dim", "qk_rope_head_dim", "sliding_window", "sliding_window_pattern", "v_head_dim",
}  # fmt: skip
WITH_DEFAULTS = (
    "afmoe", "cohere2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "gemma3", "gemma3_text", "glm4_moe_lite", "gpt_oss",
    "kimi_k25", "laguna", "qwen", "qwen3_5", "youtu_llm",
)  # fmt: skip


LANGUAGE_PARTS = {"gemma3": "gemma3_text", "kimi_k25": "deepseek_v3"}


def with_defaults(family, config):
    """Without what mlx-lm has a value of its own for."""
    if "text_config" in config:
        return config | {"text_config": with_defaults(family, config["text_config"])}
    module = import_module(f"mlx_lm.models.{LANGUAGE_PARTS.get(family, family)}")
    arguments = getattr(module, "TextModelArgs", module.ModelArgs)
    can_go = {field.name for field in fields(arguments) if field.default is not MISSING and field.default is not None}
    # Those values are for models of usual size: eight heads have room for them.
    wide = {"num_attention_heads": 8, "hidden_size": 1024 if family in ("cohere2", "qwen") else 64}
    return {key: value for key, value in (config | wide).items() if key not in OFTEN_LEFT_OUT & can_go}


@pytest.mark.parametrize("family", WITH_DEFAULTS)
def test_what_a_config_leaves_out_is_what_mlx_lm_takes_for_it(family):
    config = with_defaults(family, config_of(family))

    assert counted(config) == [expected(layer, 3) for layer in kept(config, [3])]


def test_gemma_3_that_sees_leaves_out_its_heads():
    text = {key: value for key, value in CONFIGS["gemma3"]["text_config"].items() if key not in ("num_attention_heads", "head_dim")}
    config = config_of("gemma3") | {"text_config": {key: value for key, value in text.items() if key != "num_key_value_heads"}}

    assert counted(config) == [expected(layer, 3) for layer in kept(config, [3])]
    assert counted(config)[2] == (2 * 4 * 256 * FLOAT32, 0)


def test_step_3_5_may_give_its_windows_other_heads_and_name_layers_beyond_the_last():
    kinds = ["full_attention", *["sliding_attention"] * 3] * 2
    config = config_of("step3p5") | {
        "layer_types": kinds, "attention_other_setting": {"num_attention_heads": 6, "num_attention_groups": 3},
    }  # fmt: skip

    assert counted(config) == [expected(layer, 3) for layer in kept(config, [3])]


@pytest.mark.parametrize("family", ["gemma2", "qwen2", "phi3"])
def test_windows_that_mlx_lm_does_not_make_are_not_counted_as_such(family):
    config = config_of(family) | {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"] * 3}

    assert counted(config) == [expected(layer, 3) for layer in kept(config, [3])]


@pytest.mark.parametrize("family", ["gemma3_text", "llama4", "mimo_v2_flash", "qwen3_next", "recurrent_gemma", "step3p5"])
def test_a_window_or_a_state_never_keeps_more_than_counted(family):
    sizes = [layer.nbytes for layer in kept(config_of(family), [256, 512, 1, 7])]

    of_fixed_size = [(size, state) for size, (_, state) in zip(sizes, counted(config_of(family)), strict=True) if state]
    assert of_fixed_size
    assert all(0 < size <= state for size, state in of_fixed_size)


@pytest.mark.parametrize("chunks", [[1], [256], [257], [8, 300], [300, 1, 1], [8, *[64] * 4], [200, 57, 512]])
def test_the_last_step_of_a_cache_is_counted(chunks):
    config, tokens = config_of("llama"), sum(chunks)

    for cache, layer in zip(kept(config, chunks), layer_caches(config, FLOAT32), strict=True):
        assert tokens * layer.token_bytes <= cache.nbytes <= allocated_tokens(tokens) * layer.token_bytes


def test_a_chunk_that_needs_one_token_more_takes_the_whole_step():
    cache = kept(config_of("llama"), [8, 249])[0]

    assert cache.nbytes == (8 + 256) * layer_caches(config_of("llama"), FLOAT32)[0].token_bytes
    assert kept(config_of("llama"), [1])[0].nbytes == allocated_tokens(1) * layer_caches(config_of("llama"), FLOAT32)[0].token_bytes


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("family", ["deepseek_v2", "gemma3_text", "llama", "mimo_v2_flash", "minicpm3", "qwen", "qwen3_next"])
def test_a_cache_in_fewer_bits_is_counted_as_it_is_kept(family, bits):
    config = with_long_heads(config_of(family))
    kv = KvQuantization(bits, kv_group_size(config))

    cache = kept(config, [3], kv)

    whole = [layer.token_bytes for layer in layer_caches(config, FLOAT32)]
    grown = [expected(layer, 3)[0] for layer in cache]
    assert [kv.bytes_for(wide // FLOAT32, FLOAT32) if wide else 0 for wide in whole] == grown
    assert sum(grown) < sum(whole) / 2


def test_the_latent_of_deepseek_v3_has_576_numbers_per_layer():
    config = {"model_type": "deepseek_v3", "num_hidden_layers": 61, "num_attention_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64}

    assert sum(layer.token_bytes for layer in layer_caches(config)) == 70272


def test_a_family_that_nobody_has_read_is_counted_as_attention_over_all_tokens():
    config = {**CONFIGS["llama"], "model_type": "new", "sliding_window": 6, "layer_types": ["sliding_attention"] * 5}

    assert {layer.state_bytes for layer in layer_caches(config)} == {0}
    assert min(layer.token_bytes for layer in layer_caches(config)) > 0


def test_a_config_that_does_not_say_what_its_layers_are_is_refused():
    with pytest.raises(WeightsBroken, match='does not say what a model of the family "kimi_linear" keeps'):
        layer_caches({"model_type": "kimi_linear", "num_hidden_layers": 4})
