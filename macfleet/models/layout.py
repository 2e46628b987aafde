"""Which part of a model a tensor belongs to, from its name alone."""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from macfleet.core.errors import WeightsBroken

_LAYER = re.compile(r"^(?P<stem>(?:[A-Za-z_]\w*\.)*?)(?P<list>layers|h|blocks)\.(?P<number>\d+)\.")
# Towers and heads that mlx-lm drops when it loads the text model.
_UNUSED = re.compile(r"(^|\.)(vision_tower|vision_model|vision_embed\w*|visual|audio_tower|multi_modal_projector|mm_projector|mtp)\.")
_UNUSED_END = re.compile(r"\.rotary_emb\.inv_freq$")
_EMBEDDING = re.compile(r"^(embed_tokens|embed_in|embeddings?|tok_embeddings|word_embeddings|wte)\.")
_HEAD = re.compile(r"(^|\.)(lm_head|output|embed_out)\.")
_NORM = re.compile(r"(^|\.)\w*(norm|ln_f)\w*\.")

# Of the models that macfleet has cards for the deepest has 126. What is asked for each layer is kept in a list: a number from a
# damaged config.json must not become one that fills the memory.
MOST_LAYERS = 1024


class Part(StrEnum):
    """`shared` is what every stage gets, because nobody knows which one needs it; `unused` is never loaded."""

    EMBEDDING = "embedding"
    LAYER = "layer"
    HEAD = "head"
    SHARED = "shared"
    UNUSED = "unused"


@dataclass(frozen=True)
class Layout:
    """How the tensors of one model are named. `prefix` is what comes before a layer's number: "model.layers."."""

    prefix: str
    layers: int
    is_tied: bool

    def part_of(self, name: str) -> Part:
        if name.startswith(self.prefix):
            # Beyond the last layer lies the multi-token prediction of DeepSeek, which mlx-lm does not load.
            is_used = self.layer_of(name) is not None and not _UNUSED_END.search(name)
            return Part.LAYER if is_used else Part.UNUSED
        stem = self.prefix.rpartition(".")[0].rpartition(".")[0]
        if _UNUSED.search(name) or (stem.startswith("language_model") and not name.startswith("language_model.")):
            return Part.UNUSED
        if _EMBEDDING.match(name.removeprefix(stem + ".") if stem else name):
            return Part.EMBEDDING
        if _HEAD.search(name):
            return Part.UNUSED if self.is_tied else Part.HEAD
        return Part.HEAD if _NORM.search(name) else Part.SHARED

    def layer_of(self, name: str) -> int | None:
        """The layer's number, or None for a tensor of no layer that counts."""
        number = name[len(self.prefix) :].partition(".")[0] if name.startswith(self.prefix) else ""
        return int(number) if number.isdigit() and int(number) < self.layers else None


def layout_of(names: Iterable[str], config: Mapping[str, Any]) -> Layout:
    """The layout of a model with these tensors and this config.json.

    Raises WeightsBroken when there is no stack of layers, a layer is missing, or the embedding or the head is.
    """
    every = list(names)
    layers = layer_count(config)
    prefix = _prefix(every)
    is_tied = not any(_HEAD.search(name) and not _UNUSED.search(name) for name in every)
    layout = Layout(prefix, layers, is_tied or bool(text_config(config).get("tie_word_embeddings")))
    parts = {layout.part_of(name) for name in every}
    missing = sorted(set(range(layers)) - {layout.layer_of(name) for name in every})
    if missing:
        raise WeightsBroken(f"the weights hold no {_numbered(missing)} of {layers}", hint="fetch the model again")
    if Part.EMBEDDING not in parts:
        raise WeightsBroken("the weights hold no embedding", hint="fetch the model again")
    if is_tied and text_config(config).get("tie_word_embeddings") is False:
        raise WeightsBroken(
            "the weights hold no lm_head, and config.json says that it is not the embedding", hint="fetch the model again"
        )  # fmt: skip
    return layout


def layer_count(config: Mapping[str, Any]) -> int:
    """The number of layers that config.json names. Raises WeightsBroken when it names none, or more than MOST_LAYERS."""
    text = text_config(config)
    for key in ("num_hidden_layers", "n_layers", "n_layer", "num_layers"):
        if isinstance(text.get(key), int) and text[key] > 0:
            return _believable(key, int(text[key]))
    raise WeightsBroken("config.json does not say how many layers the model has (num_hidden_layers)")


def text_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The language part of a config.json; a model that also sees keeps it one level deeper."""
    inner = config.get("text_config")
    return {**config, **inner} if isinstance(inner, Mapping) else dict(config)


def _believable(key: str, layers: int) -> int:
    if layers <= MOST_LAYERS:
        return layers
    raise WeightsBroken(
        f"config.json says that the model has {reprlib.repr(layers)} layers ({key})",
        truths=[f"macfleet serves models of up to {MOST_LAYERS} layers"],
        hint="fetch the model again",
    )


def _prefix(names: Iterable[str]) -> str:
    found: Counter[str] = Counter()
    for name in names:
        match = _LAYER.match(name)
        if match and not _UNUSED.search(name):
            found[f"{match['stem']}{match['list']}."] += 1
    if not found:
        raise WeightsBroken("the weights hold no layers with a name like model.layers.0.…")
    return found.most_common(1)[0][0]


def _numbered(layers: list[int]) -> str:
    shown = ", ".join(str(layer) for layer in layers[:6]) + (", …" if len(layers) > 6 else "")
    return f"layer {shown}" if len(layers) == 1 else f"layers {shown}"
