"""How much of a layer with experts a decoding step reads: only the experts that its tokens are sent to. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from macfleet.models.layout import text_config

_EXPERT = re.compile(r"\.(switch_mlp|experts)\.")  # shared experts, which every token uses, have names of their own
_EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
_PER_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "moe_k", "top_k_experts")


def is_of_experts(name: str) -> bool:
    """Whether a tensor of this name holds routed experts."""
    return _EXPERT.search(name) is not None


def share_per_token(config: Mapping[str, Any]) -> float:
    """The share of its experts that a layer uses for one token; 1.0 where config.json does not say: then all are counted."""
    text = text_config(config)
    experts, per_token = _first(text, _EXPERTS), _first(text, _PER_TOKEN)
    return min(1.0, per_token / experts) if experts and per_token else 1.0


def share_per_step(share: float, rows: int) -> float:
    """The share that a step with so many tokens may be expected to use, each sent to experts of its own."""
    return 1.0 - (1.0 - share) ** rows


def _first(text: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    return next((text[key] for key in keys if isinstance(text.get(key), int)), 0)
