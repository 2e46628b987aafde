"""What mlx-lm's caches of a model take: bytes that grow with every token, and bytes that a sequence keeps however long it is. Pure.

Read in mlx-lm 0.32.2, models/*.py. tests/models/test_caches.py compares every family on the allow-list with the caches that mlx-lm
makes of it. What is not known is counted as attention over all tokens, which is never too little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from macfleet.core.errors import WeightsBroken
from macfleet.models.families import ALIASES
from macfleet.models.layout import layer_count, text_config

# While a prompt is read, a window's cache also holds the chunk being read (mlx-lm's RotatingKVCache).
_CHUNK_TOKENS = 512

# Under which name mlx-lm runs the language part of a model that also sees. mistral3 and pixtral ask the language part itself.
_LANGUAGE_PART = {
    "gemma3": "gemma3_text", "kimi_k25": "deepseek_v3", "kimi_vl": "deepseek_v3", "qwen2_vl": "qwen2", "qwen3_5_moe": "qwen3_5",
    "qwen3_vl": "qwen3", "qwen3_vl_moe": "qwen3_moe",
}  # fmt: skip
# What mlx-lm takes for a key that config.json leaves out, as those of Gemma 3 and Qwen do.
_LATENT_SIZES = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
_DEFAULTS: dict[str, dict[str, int]] = {
    "afmoe": {"num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 64, "sliding_window": 2048},
    "cohere": {"num_attention_heads": 64, "num_key_value_heads": 64},
    "cohere2": {"head_dim": 128, "num_key_value_heads": 8, "sliding_window": 4096, "sliding_window_pattern": 4},
    "deepseek_v2": _LATENT_SIZES,
    "deepseek_v3": _LATENT_SIZES,
    "deepseek_v32": {**_LATENT_SIZES, "index_head_dim": 128},
    "gemma3": {"num_attention_heads": 8, "num_key_value_heads": 4},
    "gemma3_text": {
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "sliding_window": 512, "sliding_window_pattern": 6,
    },
    "glm4_moe_lite": {"kv_lora_rank": 512, "qk_rope_head_dim": 64},
    "gpt_oss": {"num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "sliding_window": 128},
    "laguna": {"num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128, "sliding_window": 512},
    "mixtral": {"num_attention_heads": 32, "num_key_value_heads": 8},
    "phimoe": {"num_attention_heads": 32, "num_key_value_heads": 8},
    "qwen": {"num_attention_heads": 16, "kv_channels": 128},
    "qwen3_5": {
        "num_attention_heads": 32, "num_key_value_heads": 8, "linear_num_value_heads": 64, "linear_num_key_heads": 16,
        "linear_key_head_dim": 192, "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "full_attention_interval": 4,
    },
    "qwen3_next": {"full_attention_interval": 4},
    "step3p5": {"sliding_window": 512},
    "youtu_llm": {**_LATENT_SIZES, "num_attention_heads": 16},
}  # fmt: skip

# Multi-head latent attention of which only the latent and the rope part are kept, once for all heads. Others with a
# kv_lora_rank keep whole keys and values of every head.
_KEEPS_LATENT = {
    "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "kimi_linear", "longcat_flash", "mistral4",
}  # fmt: skip
_WITH_INDEXER = {"deepseek_v32", "glm_moe_dsa"}
# Who looks at `layer_types` for windows; the list may go on beyond the last layer, to those of multi-token prediction. Newer
# configs name them for families whose caches mlx-lm makes whole all the same (gemma2).
_BY_LAYER_TYPES = {"afmoe", "exaone_moe", "gpt_oss", "laguna", "llama", "ministral3", "olmo3", "smollm3", "step3p5"}
_BY_PATTERN = {"cohere2", "gemma3_text"}


@dataclass(frozen=True)
class LayerCache:
    """One layer of one sequence."""

    token_bytes: int = 0
    state_bytes: int = 0


class _Kind(StrEnum):
    WHOLE = "attention over all tokens"
    WINDOW = "attention over the last ones"
    STATE = "a state of fixed size"


def layer_caches(config: Mapping[str, Any], element_bytes: int = 2) -> tuple[LayerCache, ...]:
    """One for each layer of a model with this config.json. `element_bytes` is the width of activations. Raises WeightsBroken."""
    family, text = language_part(config)
    try:
        return _layer_caches(family, text, element_bytes)
    except (KeyError, IndexError, TypeError, ZeroDivisionError) as error:
        raise WeightsBroken(
            f'config.json does not say what a model of the family "{family}" keeps of a sequence ({type(error).__name__}: {error})',
            hint="fetch the model again",
        ) from error


def _layer_caches(family: str, text: Mapping[str, Any], element_bytes: int) -> tuple[LayerCache, ...]:
    whole = LayerCache(token_bytes=_values(family, text) * element_bytes)
    window_bytes = (_window(text) + _CHUNK_TOKENS) * _window_values(family, text) * element_bytes
    of_kind = {
        _Kind.WHOLE: whole,
        _Kind.WINDOW: LayerCache(state_bytes=window_bytes),
        _Kind.STATE: LayerCache(state_bytes=_state_bytes(family, text, element_bytes)),
    }
    return tuple(of_kind[kind] for kind in _kinds(family, text, layer_count(text)))


def language_part(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The family that mlx-lm runs the language part as, and that part's config with the defaults that caches hang on."""
    text, outer = text_config(config), str(config.get("model_type", ""))
    family = ALIASES.get(outer, _LANGUAGE_PART.get(outer, outer))
    if outer in ("mistral3", "pixtral"):
        inner = str(text.get("model_type"))
        family = inner if inner in ("ministral3", "mistral4") else "llama"
    given = {key: value for key, value in text.items() if value is not None}
    return family, {**_DEFAULTS.get(family, {}), **_DEFAULTS.get(outer, {}), **given}


def first_int(text: Mapping[str, Any], *keys: str) -> int:
    """The first of these that there is; 0 when there is none."""
    return next((int(text[key]) for key in keys if isinstance(text.get(key), int)), 0)


def head_sizes(family: str, text: Mapping[str, Any]) -> tuple[int, int]:
    """How many values a head's key and its value have."""
    if text.get("kv_lora_rank"):
        nope = first_int(text, "qk_nope_head_dim", "head_dim")
        value = first_int(text, "hidden_size") // _heads(text) if family == "minicpm3" else first_int(text, "v_head_dim", "head_dim")
        return nope + first_int(text, "qk_rope_head_dim"), value
    if family == "qwen":
        return text["kv_channels"], text["kv_channels"]
    if family == "recurrent_gemma":
        return text["hidden_size"] // _heads(text), text["hidden_size"] // _heads(text)
    each = first_int(text, "head_dim") or first_int(text, "hidden_size", "d_model", "n_embd") // _heads(text)
    return each, (first_int(text, "v_head_dim") or each) if family == "mimo_v2_flash" else each


def _heads(text: Mapping[str, Any]) -> int:
    return first_int(text, "num_attention_heads", "n_head", "n_heads") or 1


def _values(family: str, text: Mapping[str, Any]) -> int:
    """How many values a layer keeps of one token."""
    if family in _KEEPS_LATENT and text.get("kv_lora_rank"):
        # The indexer keeps keys, and a buffer of zeros of the same size as its "values".
        indexer = 2 * (first_int(text, "index_head_dim") or 128) if family in _WITH_INDEXER else 0
        latent = first_int(text, "kv_lora_rank") + first_int(text, "qk_rope_head_dim") + indexer
        return 2 * latent if family == "longcat_flash" else latent  # its layers have two attentions each
    if family == "recurrent_gemma":
        return sum(head_sizes(family, text))
    has_a_key_for_each = text.get("kv_lora_rank") or family == "qwen"
    heads = _heads(text) if has_a_key_for_each else first_int(text, "num_key_value_heads", "num_attention_groups") or _heads(text)
    return heads * sum(head_sizes(family, text))


def _window(text: Mapping[str, Any]) -> int:
    return first_int(text, "sliding_window", "sliding_window_size", "attention_window_size", "attention_chunk_size")


def _window_values(family: str, text: Mapping[str, Any]) -> int:
    """As `_values`, of a layer that sees a window: some families give those other heads."""
    match family:
        case "mimo_v2_flash":
            return first_int(text, "swa_num_key_value_heads") * (first_int(text, "swa_head_dim") + first_int(text, "swa_v_head_dim"))
        case "step3p5" if text.get("attention_other_setting"):
            return first_int(text["attention_other_setting"], "num_attention_groups") * sum(head_sizes(family, text))
    return _values(family, text)


def _kinds(family: str, text: Mapping[str, Any], layers: int) -> list[_Kind]:
    def where(is_so: Any, kind: _Kind) -> list[_Kind]:
        return [kind if is_so(layer) else _Kind.WHOLE for layer in range(layers)]

    named = text.get("layer_types") or []
    match family:
        case "mamba2":
            return where(lambda layer: True, _Kind.STATE)
        case "granitemoehybrid":
            return where(lambda layer: named[layer] == "mamba", _Kind.STATE)
        case "jamba":
            kinds, period, offset = text.get("layers_block_type"), text.get("attn_layer_period"), text.get("attn_layer_offset")
            return where(lambda layer: kinds[layer] != "attention" if kinds else layer % period != offset, _Kind.STATE)
        case "kimi_linear":
            return where(lambda layer: layer + 1 in text["linear_attn_config"]["kda_layers"], _Kind.STATE)
        case "lfm2" | "lfm2_moe":
            full = text.get("full_attn_idxs") or [layer for layer, kind in enumerate(named) if kind == "full_attention"]
            return where(lambda layer: layer not in full, _Kind.STATE)
        case "qwen3_next" | "qwen3_5":
            return where(lambda layer: (layer + 1) % text["full_attention_interval"] != 0, _Kind.STATE)
        case "recurrent_gemma":
            blocks = text.get("block_types") or text["_block_types"]
            return [_Kind.WINDOW if blocks[layer % len(blocks)] == "attention" else _Kind.STATE for layer in range(layers)]
        case "llama4":
            return where(lambda layer: (layer + 1) % 4 != 0, _Kind.WINDOW)
        case "mimo_v2_flash":
            return where(lambda layer: text["hybrid_layer_pattern"][layer] == 1, _Kind.WINDOW)
        case "gpt_oss" | "step3p5" if not named:
            return where(lambda layer: layer % 2 == 0, _Kind.WINDOW)
        case _ if family in _BY_LAYER_TYPES and len(named) >= layers:
            return where(lambda layer: named[layer] == "sliding_attention", _Kind.WINDOW)
        case _ if family in _BY_PATTERN:
            return where(lambda layer: (layer + 1) % text["sliding_window_pattern"] != 0, _Kind.WINDOW)
    return [_Kind.WHOLE] * layers


def _state_bytes(family: str, text: Mapping[str, Any], element_bytes: int) -> int:
    """The last inputs of a short convolution, as wide as activations, and a matrix or vector in float32."""

    def size(key: str) -> int:
        return first_int(text, key)

    match family:
        case "granitemoehybrid":
            heads, width, state = size("mamba_n_heads"), size("mamba_d_head"), size("mamba_d_state")
            inputs, matrix = heads * width + 2 * size("mamba_n_groups") * state, heads * width * state
            kernel = size("mamba_d_conv")
        case "mamba2":
            heads, width, state = size("num_heads"), size("head_dim"), size("state_size")
            inputs, matrix = heads * width + 2 * size("n_groups") * state, heads * width * state
            kernel = size("conv_kernel")
        case "jamba":
            inputs = size("mamba_expand") * size("hidden_size")
            matrix, kernel = inputs * size("mamba_d_state"), size("mamba_d_conv")
        case "kimi_linear":
            own = text["linear_attn_config"]
            inputs = 3 * own["num_heads"] * own["head_dim"]
            matrix, kernel = own["num_heads"] * own["head_dim"] ** 2, own.get("short_conv_kernel_size", 4)
        case "lfm2" | "lfm2_moe":
            inputs, matrix, kernel = size("hidden_size"), 0, size("conv_L_cache")
        case "recurrent_gemma":
            inputs = size("hidden_size")
            matrix, kernel = inputs, size("conv1d_width")
        case _:  # gated delta
            keys = size("linear_num_key_heads") * size("linear_key_head_dim")
            values = size("linear_num_value_heads") * size("linear_value_head_dim")
            inputs, matrix = 2 * keys + values, values * size("linear_key_head_dim")
            kernel = size("linear_conv_kernel_dim") or 4
    return max(0, kernel - 1) * inputs * element_bytes + matrix * 4
