"""A config.json made small: every size divided, the pattern of its layers kept, so that a model of it can be tried in a moment. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from macfleet.models.layout import layer_count, text_config

VOCABULARY = 128
_WINDOW_TOKENS = 6  # shorter than the prompts that are tried, or no window would ever move
_SPARSE_TOKENS = 8
_FEWEST_LAYERS, _MOST_LAYERS = 6, 16
_SMALLEST_WIDTH = 16

# What is no size of the language model, or says how big weights are packed: left out, so that the small model is in float32.
_LEFT_OUT = ("quantization", "quantization_config", "compression_config", "auto_map", "model_file")
_OTHER_PARTS = ("vision_config", "audio_config", "speech_config")

_LAYERS = re.compile(r"^(num_hidden_layers|n_layers?|num_layers|num_transformer_layers)$")
_TOKENS = re.compile(r"token_(id|index)")
_AS_THEY_ARE = re.compile(
    r"position|max_seq|seq_len|n_ctx|max_length|conv|kernel|patch|image|chunk_size_feed|group_size|multiple_of|theta|base$"
)
_OF_LAYERS = re.compile(
    r"interval|pattern|period|freq|every|offset|layers?$|layer_(ids?|idx|index|start|end|group_size)|_step$|first_k|(start|end)_index|idxs?$"
)
_KINDS_IN_A_WORD = re.compile(r"pattern")  # "M-M*-": a letter for each layer
_WINDOW = re.compile(r"window|attention_chunk_size")
_SPARSE = re.compile(r"^index_topk$")
_EXPERT_GROUPS = re.compile(r"^(n_group|num_expert_groups?)$")
_CHOSEN_GROUPS = re.compile(r"^(topk_group|num_limited_groups)$")
_CHOSEN_EXPERTS = re.compile(r"per_tok|^(moe_)?top_?k(_experts)?$|^moe_k$")
_EXPERTS = re.compile(r"^(num_|n_|moe_num_)(routed_|local_)?experts$|^zero_expert_num$")
_HEADS = re.compile(r"heads?$|^num_attention_groups$|^multi_query_group_num$|(^|_)n(um)?_groups$")
_IN_A_HEAD = re.compile(r"head_dim|head_size|d_head|kv_channels|rotary_dim|rope_dim|state_size|d_state|rank")
_WIDTH = re.compile(r"hidden|intermediate|embd|embedding_size|d_model|model_dim|ffn|inner|dim|width|mlp|lru|latent|^mamba_d_ssm$")


@dataclass(frozen=True)
class Cut:
    """What sizes are divided by. A width is heads times what is in a head, so it is divided by both."""

    heads: int
    in_a_head: int

    @property
    def width(self) -> int:
        return self.heads * self.in_a_head


class DoesNotDivide(Exception):
    """A size that others depend on would be no whole number, or too small to be one."""


def shrunken(config: Mapping[str, Any], *, least_in_a_head: int = 4) -> Iterator[dict[str, Any]]:
    """Small configs of the same architecture, the smallest first; the last one keeps all widths.

    A name does not always tell what a size must fit to, so not every one of them is a model: take the first that runs.
    `least_in_a_head`: no dimension of a head is made smaller than this, and each stays a multiple of it.
    """
    layers = _layers_kept(config)
    for cut in _cuts():
        try:
            yield _Shrinking(config, layers, cut, least_in_a_head).shrink()
        except DoesNotDivide:
            continue


def _cuts() -> Iterator[Cut]:
    """The strongest first. Powers of two, and three for models of 12 or 24 heads."""
    cuts = [Cut(heads, in_a_head) for heads in (64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1) for in_a_head in (32, 16, 8, 4, 2, 1)]
    yield from sorted(cuts, key=lambda cut: (-cut.width, -cut.in_a_head))


def _layers_kept(config: Mapping[str, Any]) -> int:
    """Enough for two of every kind of layer, and for a stage before, between and behind them."""
    text, layers = text_config(config), layer_count(config)
    wanted = _FEWEST_LAYERS
    for key, value in _numbers_and_lists(text):
        if isinstance(value, list | str):
            wanted = max(wanted, _twice_each(value) if len(value) == layers else _first_two(value, layers))
        elif _OF_LAYERS.search(key) and not _LAYERS.match(key) and 1 < value <= _MOST_LAYERS // 2:
            wanted = max(wanted, 2 * value)
    return min(layers, wanted, _MOST_LAYERS)


def _numbers_and_lists(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and key not in _OTHER_PARTS:
            yield from _numbers_and_lists(value)
        elif isinstance(value, list) or _is_number(value) or (isinstance(value, str) and _KINDS_IN_A_WORD.search(key)):
            yield key, value


def _twice_each(kinds: list[Any] | str) -> int:
    """How many layers from the beginning hold each kind twice; kinds that come once are not waited for."""
    places: dict[str, list[int]] = {}
    for place, kind in enumerate(kinds):
        places.setdefault(str(kind), []).append(place)
    return max((found[1] + 1 for found in places.values() if len(found) > 1), default=0)


def _first_two(places: list[Any] | str, layers: int) -> int:
    """A list of layers by number: as many layers as hold the first two of them. One that names the last counts from 1."""
    if not _is_list_of_layers(places, layers):
        return 0
    return int(places[min(1, len(places) - 1)]) + (places[-1] != layers)


def _is_list_of_layers(values: list[Any] | str, layers: int) -> bool:
    if not values or not all(_is_number(value) for value in values):
        return False
    return list(values) == sorted(set(values)) and int(values[0]) >= 0 and int(values[-1]) <= layers


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True)
class _Shrinking:
    config: Mapping[str, Any]
    layers: int
    cut: Cut
    least_in_a_head: int

    def shrink(self) -> dict[str, Any]:
        return self._section(self.config)

    @property
    def _has_expert_groups(self) -> bool:
        return any(_EXPERT_GROUPS.match(key) and _is_number(value) and value > 1 for key, value in text_config(self.config).items())

    def _section(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self._value(key, value) for key, value in values.items() if key not in _LEFT_OUT}

    def _value(self, key: str, value: Any) -> Any:
        if key in _OTHER_PARTS:
            return value
        if isinstance(value, Mapping):
            return self._section(value)
        if isinstance(value, list):
            return self._list(key, value)
        if isinstance(value, str):
            return value[: self.layers] if _KINDS_IN_A_WORD.search(key) and len(value) == layer_count(self.config) else value
        return self._number(key, value) if _is_number(value) else value

    def _list(self, key: str, values: list[Any]) -> list[Any]:
        layers = layer_count(self.config)
        if len(values) == layers:
            return [self._value(key, value) for value in values[: self.layers]]
        if _TOKENS.search(key):
            return [self._value(key, value) for value in values]
        if _OF_LAYERS.search(key) and _is_list_of_layers(values, layers):
            last = self.layers if values[-1] == layers else self.layers - 1  # counted from 1, or from 0
            return [value for value in values if value <= last]
        if key.endswith("factor"):  # of each frequency of a rotary embedding
            return values[:: self.cut.in_a_head]
        return values

    def _number(self, key: str, value: int) -> int:
        if _LAYERS.match(key):
            return self.layers
        if _TOKENS.search(key):
            return min(value, VOCABULARY - 1)
        if "vocab" in key:
            return min(value, VOCABULARY)
        if _OF_LAYERS.search(key):
            return self._of_layers(value)
        if _WINDOW.search(key):
            return min(value, _WINDOW_TOKENS)
        if _AS_THEY_ARE.search(key):
            return value
        if _SPARSE.match(key):
            return min(value, _SPARSE_TOKENS)
        return self._of_experts(key, value) or self._size(key, value)

    def _of_layers(self, value: int) -> int:
        """A number of layers, or the number of one: the last stays the last."""
        layers = layer_count(self.config)
        return self.layers - 1 if value == layers - 1 else min(value, self.layers)

    def _of_experts(self, key: str, value: int) -> int | None:
        if _EXPERT_GROUPS.match(key):
            return min(value, 2)
        if _CHOSEN_GROUPS.match(key):
            return min(value, 1)
        if _CHOSEN_EXPERTS.search(key):
            return min(value, 2)
        if _EXPERTS.match(key):
            return min(value, 8 if self._has_expert_groups else 4)
        return None

    def _size(self, key: str, value: int) -> int:
        if _HEADS.search(key):
            return value if value == 1 else self._heads(key, value)
        if _IN_A_HEAD.search(key):
            return value if value <= 4 else self._divided(key, value, self.cut.in_a_head, self.least_in_a_head)
        if _WIDTH.search(key) and value >= 4 * _SMALLEST_WIDTH:
            return self._width(key, value)
        return value

    def _heads(self, key: str, value: int) -> int:
        """Never one where there were several: that would be another kind of attention."""
        heads = self._divided(key, value, self.cut.heads, 1)
        if heads == 1:
            raise DoesNotDivide(f"{key}: {value} by {self.cut.heads}")
        return heads

    def _width(self, key: str, value: int) -> int:
        hidden = text_config(self.config).get("hidden_size")
        if isinstance(hidden, int) and value % hidden == 0:
            return self._divided(key, value, self.cut.width, _SMALLEST_WIDTH // 2)
        return max(_SMALLEST_WIDTH, -(-value // self.cut.width // 2) * 2)

    def _divided(self, key: str, value: int, by: int, least: int) -> int:
        """Exactly, and to a multiple of `least`; heads and halves of heads must stay whole."""
        divided, rest = divmod(value, by)
        if rest or divided < least or divided % least:
            raise DoesNotDivide(f"{key}: {value} by {by}")
        return divided
