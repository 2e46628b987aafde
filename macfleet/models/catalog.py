"""The model cards that come with macfleet: enough to plan a placement before a byte is fetched."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from macfleet.core.near import did_you_mean
from macfleet.models.card import ModelCard
from macfleet.models.families import can_quantize_kv
from macfleet.models.kv import GROUP_SIZES


@cache
def cards() -> tuple[ModelCard, ...]:
    """All cards, in the order of cards.json."""
    rows = json.loads(files("macfleet.models").joinpath("cards.json").read_text(encoding="utf-8"))
    return tuple(card_from_row(row) for row in rows)


def find(name: str) -> ModelCard | None:
    """The card of a name or a repository; "deepseek-v3" finds deepseek-v3-0324, the only one that goes on with a dash."""
    wanted = name.strip().lower()
    every = cards()
    exact = [card for card in every if wanted in (card.name, card.repo.lower())]
    longer = [card for card in every if card.name.startswith(wanted + "-")]
    found = exact or longer
    return found[0] if len(found) == 1 else None


def suggestion(name: str) -> str:
    """`did you mean "deepseek-v3.1"?` or the names there are; a beginning of several names lists those."""
    names = [card.name for card in cards()]
    beginning = [known for known in names if known.startswith(name.strip().lower())] if name.strip() else []
    return f"known: {', '.join(beginning)}" if len(beginning) > 1 else did_you_mean(name, names)


def card_from_row(row: dict[str, Any]) -> ModelCard:
    """A card from one row of the table.

    Embedding, head and dense layers (which differ from the layers with experts by a factor of twenty) are counted by their
    parameters at the bits of the non-expert weights; what is left of the size on disk is spread evenly over the other layers.
    """
    layers, dense = row["layers"], row["dense_layers"]
    disk_bytes = round(row["disk_gb"] * 1e9)
    embed_bytes = round(row["vocab"] * row["hidden"] * row["rest_bits"] / 8)
    dense_bytes = round(row["dense_layer_params_m"] * 1e6 * row["rest_bits"] / 8)
    rest_bytes = disk_bytes - embed_bytes * (1 if row["tied"] else 2) - dense * dense_bytes
    has_kv = [(layer + 1) % row["kv_every"] == 0 for layer in range(layers)]
    expert_layer_bytes = -(-rest_bytes // (layers - dense))
    experts, per_token = row["experts"], int(row["top_k"].partition("+")[0]) if row["experts"] else 0
    return ModelCard(
        name=row["name"],
        repo=row["repo"],
        family=row["family"],
        quantization=row["quantization"],
        disk_bytes=disk_bytes,
        hidden=row["hidden"],
        vocab=row["vocab"],
        context_tokens=row["context"],
        layer_bytes=(dense_bytes,) * dense + (expert_layer_bytes,) * (layers - dense),
        embed_bytes=embed_bytes,
        head_bytes=embed_bytes,
        is_tied=row["tied"],
        kv_bytes_per_layer=tuple(row["kv_bytes_per_token"] // sum(has_kv) if full else 0 for full in has_kv),
        state_bytes_per_layer=tuple(0 if full else row["state_bytes_per_layer"] for full in has_kv),
        is_exact=False,
        parameters_b=row["parameters_b"],
        active_b=row["active_b"],
        license=row["license"],
        note=row["note"],
        kv_group_size=GROUP_SIZES[0] if can_quantize_kv(row["family"]) else None,
        expert_bytes_per_layer=(0,) * dense + (int(expert_layer_bytes * _share_of_experts(row, per_token)),) * (layers - dense),
        expert_share=per_token / experts if experts else 1.0,
    )


def _share_of_experts(row: dict[str, Any], per_token: int) -> float:
    """Of a layer with experts, what they are of its parameters: a token is spared all of them but those that it uses."""
    if not row["experts"]:
        return 0.0
    spared_b = row["parameters_b"] - row["active_b"]
    ends_b = row["vocab"] * row["hidden"] * (1 if row["tied"] else 2) / 1e9
    layers_b = row["parameters_b"] - ends_b - row["dense_layers"] * row["dense_layer_params_m"] / 1e3
    share: float = spared_b * row["experts"] / (row["experts"] - per_token) / layers_b
    return min(1.0, share)
