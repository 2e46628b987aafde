"""A model's card from its own config.json and the sizes of its tensors: exact where the table is an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from macfleet.models.card import ModelCard
from macfleet.models.families import can_quantize_kv
from macfleet.models.kv import GROUP_SIZES
from macfleet.models.layout import Layout, Part, layer_count, layout_of, text_config

# What mlx-lm keeps of multi-head latent attention: the latent and the rope part, once for all heads. deepseek_v2 and the
# others with a kv_lora_rank keep whole keys and values of every head. Read in mlx-lm 0.32.2, models/*.py.
_KEEPS_LATENT = {
    "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "kimi_k2", "kimi_k25", "joyai_llm_flash",
}  # fmt: skip
_WITH_INDEXER = {"deepseek_v32", "glm_moe_dsa"}
# While a prompt is read, a window's cache also holds the chunk being read (mlx-lm's RotatingKVCache).
_CHUNK_TOKENS = 512


def card_from_config(
    name: str,
    config: Mapping[str, Any],
    tensor_bytes: Mapping[str, int],
    *,
    element_bytes: int = 2,
    repo: str = "",
    disk_bytes: int | None = None,
) -> ModelCard:
    """The exact card of the weights with these tensors (name → bytes).

    `element_bytes` is the width of activations and so of the KV cache: 2, or 4 for weights in float32. Raises WeightsBroken.
    """
    layout = layout_of(tensor_bytes, config)
    text = text_config(config)
    by_part = _bytes_by_part(layout, tensor_bytes)
    shared, embedding, head = by_part[Part.SHARED], by_part[Part.EMBEDDING], by_part[Part.HEAD]
    return ModelCard(
        name=name,
        repo=repo,
        family=str(config.get("model_type", "")),
        quantization=_quantization(config, element_bytes),
        disk_bytes=sum(tensor_bytes.values()) if disk_bytes is None else disk_bytes,
        hidden=_first_int(text, "hidden_size", "d_model", "n_embd", "dim"),
        vocab=_first_int(text, "vocab_size"),
        context_tokens=_first_int(text, "max_position_embeddings", "max_seq_len", "n_positions", "seq_length"),
        layer_bytes=_layer_bytes(layout, tensor_bytes, shared),
        embed_bytes=embedding,
        head_bytes=head + (embedding if layout.is_tied else 0),
        is_tied=layout.is_tied,
        kv_bytes_per_layer=kv_bytes_per_layer(config, element_bytes),
        state_bytes_per_layer=state_bytes_per_layer(config, element_bytes),
        is_exact=True,
        element_bytes=element_bytes,
        kv_group_size=kv_group_size(config),
    )


def kv_bytes_per_layer(config: Mapping[str, Any], element_bytes: int = 2) -> tuple[int, ...]:
    """Bytes that each layer's cache grows by with every token. What is not known is counted as full attention."""
    one = _kv_bytes(config, element_bytes)
    return tuple(one if kind == "full_attention" else 0 for kind in _layer_kinds(config))


def state_bytes_per_layer(config: Mapping[str, Any], element_bytes: int = 2) -> tuple[int, ...]:
    """Bytes that each layer keeps per sequence however long it is: a window of tokens, or the state of linear attention."""
    text = text_config(config)
    window = int(text.get("sliding_window") or text.get("attention_chunk_size") or 0)
    kept = (window + _CHUNK_TOKENS) * _kv_bytes(config, element_bytes)
    of_kind = {"full_attention": 0, "linear_attention": _linear_state_bytes(text, element_bytes)}
    return tuple(of_kind.get(kind, kept) for kind in _layer_kinds(config))


def kv_group_size(config: Mapping[str, Any]) -> int | None:
    """How many values share a scale when the cache is kept in fewer bits: what divides keys and values of a head. None: nothing does."""
    text, family = text_config(config), str(config.get("model_type", ""))
    if not can_quantize_kv(family):
        return None
    nope, rope, value = (int(text.get(key) or 0) for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    sizes = (nope + rope, value) if text.get("kv_lora_rank") else (_head_dim(text),)
    return next((group for group in GROUP_SIZES if all(size and size % group == 0 for size in sizes)), None)


def _head_dim(text: Mapping[str, Any]) -> int:
    heads = _first_int(text, "num_attention_heads", "n_head", "n_heads") or 1
    return int(text.get("head_dim") or _first_int(text, "hidden_size", "d_model", "n_embd") // heads)


def _kv_bytes(config: Mapping[str, Any], element_bytes: int) -> int:
    text = text_config(config)
    heads = _first_int(text, "num_attention_heads", "n_head", "n_heads") or 1
    rank, rope = int(text.get("kv_lora_rank") or 0), int(text.get("qk_rope_head_dim") or 0)
    family = str(config.get("model_type", ""))
    if rank and family in _KEEPS_LATENT:
        # The indexer keeps keys, and a buffer of zeros of the same size as its "values".
        indexer = 2 * int(text.get("index_head_dim") or 128) if family in _WITH_INDEXER else 0
        return (rank + rope + indexer) * element_bytes
    if rank:
        return heads * (int(text.get("qk_nope_head_dim") or 0) + rope + int(text.get("v_head_dim") or 0)) * element_bytes
    kv_heads = int(text.get("num_key_value_heads") or heads)
    return 2 * kv_heads * _head_dim(text) * element_bytes


def _layer_kinds(config: Mapping[str, Any]) -> list[str]:
    """One of full_attention, sliding_attention, chunked_attention, linear_attention per layer, as mlx-lm makes its caches."""
    text, layers = text_config(config), layer_count(config)
    named = text.get("layer_types")
    if isinstance(named, list) and len(named) == layers:
        return [str(kind) for kind in named]
    other = "linear_attention" if text.get("linear_num_value_heads") else "sliding_attention"
    every = text.get("full_attention_interval") or text.get("sliding_window_pattern")
    if str(config.get("model_type", "")).startswith("gpt_oss"):
        every = 2
    if not every or (other == "sliding_attention" and not text.get("sliding_window")):
        return ["full_attention"] * layers
    return ["full_attention" if (layer + 1) % int(every) == 0 else other for layer in range(layers)]


def _linear_state_bytes(text: Mapping[str, Any], element_bytes: int) -> int:
    """A float32 matrix per head, and the last inputs of the short convolution (mlx-lm gated_delta, qwen3_5)."""
    value_heads, value_dim = int(text.get("linear_num_value_heads") or 0), int(text.get("linear_value_head_dim") or 0)
    key_heads, key_dim = int(text.get("linear_num_key_heads") or 0), int(text.get("linear_key_head_dim") or 0)
    convolution = (int(text.get("linear_conv_kernel_dim") or 4) - 1) * (2 * key_heads * key_dim + value_heads * value_dim)
    return value_heads * value_dim * key_dim * 4 + convolution * element_bytes


def _bytes_by_part(layout: Layout, tensor_bytes: Mapping[str, int]) -> dict[Part, int]:
    totals = dict.fromkeys(Part, 0)
    for name, size_bytes in tensor_bytes.items():
        totals[layout.part_of(name)] += size_bytes
    return totals


def _layer_bytes(layout: Layout, tensor_bytes: Mapping[str, int], shared_bytes: int) -> tuple[int, ...]:
    """Shared tensors lie on every stage; counted with each layer they are never planned too small."""
    sizes = [shared_bytes] * layout.layers
    for name, size_bytes in tensor_bytes.items():
        layer = layout.layer_of(name) if layout.part_of(name) is Part.LAYER else None
        if layer is not None:
            sizes[layer] += size_bytes
    return tuple(sizes)


def _quantization(config: Mapping[str, Any], element_bytes: int) -> str:
    given = config.get("quantization") or config.get("quantization_config")
    if isinstance(given, Mapping) and "bits" in given:
        return f"{given['bits']}b g{given.get('group_size', 64)}"
    return "f32" if element_bytes == 4 else "16 bit"


def _first_int(text: Mapping[str, Any], *keys: str) -> int:
    return next((int(text[key]) for key in keys if isinstance(text.get(key), int)), 0)
