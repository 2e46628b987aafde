"""A model's card from its own config.json and the sizes of its tensors: exact where the table is an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from macfleet.models.caches import first_int, head_sizes, language_part, layer_caches
from macfleet.models.card import ModelCard
from macfleet.models.experts import is_of_experts, share_per_token
from macfleet.models.families import can_quantize_kv
from macfleet.models.kv import GROUP_SIZES
from macfleet.models.layout import Layout, Part, layout_of, text_config


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
    caches = layer_caches(config, element_bytes)
    shared, embedding, head = by_part[Part.SHARED], by_part[Part.EMBEDDING], by_part[Part.HEAD]
    return ModelCard(
        name=name,
        repo=repo,
        family=str(config.get("model_type", "")),
        quantization=_quantization(config, element_bytes),
        disk_bytes=sum(tensor_bytes.values()) if disk_bytes is None else disk_bytes,
        hidden=first_int(text, "hidden_size", "d_model", "n_embd", "dim"),
        vocab=first_int(text, "vocab_size"),
        context_tokens=first_int(text, "max_position_embeddings", "max_seq_len", "n_positions", "seq_length"),
        layer_bytes=_layer_bytes(layout, tensor_bytes, shared),
        embed_bytes=embedding,
        head_bytes=head + (embedding if layout.is_tied else 0),
        is_tied=layout.is_tied,
        kv_bytes_per_layer=tuple(layer.token_bytes for layer in caches),
        state_bytes_per_layer=tuple(layer.state_bytes for layer in caches),
        is_exact=True,
        element_bytes=element_bytes,
        kv_group_size=kv_group_size(config),
        expert_bytes_per_layer=_layer_bytes(layout, {name: size for name, size in tensor_bytes.items() if is_of_experts(name)}, 0),
        expert_share=share_per_token(config),
    )


def kv_group_size(config: Mapping[str, Any]) -> int | None:
    """How many values share a scale when the cache is kept in fewer bits: what divides keys and values of a head. None: nothing does."""
    if not can_quantize_kv(str(config.get("model_type", ""))):
        return None
    sizes = head_sizes(*language_part(config))
    return next((group for group in GROUP_SIZES if all(size and size % group == 0 for size in sizes)), None)


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
