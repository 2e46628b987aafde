"""One stage of any mlx-lm model, by wrapping its layers; no code per model.

The model's own forward runs unchanged from embedding to head; what is not this stage's is replaced by something that passes on:

    foreign layer → Skip (gives back what it got)          embedding on a later rank → Received (its input is already hidden states)
    first own layer → Entry (its input := what was received)    last own layer → Exit (keeps its output; norm and head behind it
                                                                are never evaluated, because MLX is lazy)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from macfleet.core.errors import MacfleetError
from macfleet.models.kv import KvQuantization
from macfleet.worker.mlx.kv import quantized


class Stage:
    """Layers `first` up to, not including, `last` of `model`, callable like the model itself.

    The model is changed in place and serves nothing else afterwards.
    """

    def __init__(self, model: nn.Module, first: int, last: int, kv: KvQuantization | None = None):
        self._model = model
        self._kv = kv
        inner = find_inner(model)
        layers = inner.layers
        if not 0 <= first < last <= len(layers):
            raise MacfleetError(f"layers {first}..{last} are not in a model of {len(layers)}")
        self.first, self.last = first, last
        self.is_first, self.is_last = first == 0, last == len(layers)
        self.family = str(getattr(model, "model_type", ""))
        self._layer_count = len(layers)
        self._strangers = self.whole_cache()
        self._received, self._output = Passing(), Passing()
        if not self.is_first:
            layers[first] = Entry(layers[first], self._received)
            inner.set_embedding(Received(inner.get_embedding()))
        if not self.is_last:
            layers[last - 1] = Exit(layers[last - 1], self._output)
        for index in [*range(first), *range(last, len(layers))]:
            layers[index] = Skip(layers[index])

    def __call__(self, inputs: mx.array, own: list[Any]) -> mx.array:
        """inputs: token ids [rows, tokens] on the first stage, hidden states [rows, tokens, d_model] behind it. `own`: own caches.

        Result: logits [rows, tokens, vocabulary] on the last stage, hidden states before it.
        """
        self._received.value = inputs
        logits: mx.array = self._model(inputs, cache=self._spread(own))
        return logits if self.is_last else self._output.take()

    def whole_cache(self) -> list[Any]:
        """A cache for one request and every layer of the model."""
        from mlx_lm.models.cache import make_prompt_cache

        cache: list[Any] = make_prompt_cache(self._model)
        if len(cache) != self._layer_count:
            raise MacfleetError(f"this model has {len(cache)} caches for {self._layer_count} layers; such a model cannot be split")
        return quantized(cache, self._kv) if self._kv else cache

    def own_cache(self) -> list[Any]:
        """A cache for one request, for the layers of this stage."""
        return self.whole_cache()[self.first : self.last]

    def _spread(self, own: list[Any]) -> list[Any]:
        """A list of full length, because models look at `cache[some fixed layer]` to make their masks.

        A foreign place holds the cache of an own layer of the same kind: its offset is right. Without one of its kind nobody
        here needs that mask.
        """
        kinds = [type(entry) for entry in self._strangers]
        by_kind = dict(zip(reversed(kinds[self.first : self.last]), reversed(own), strict=True))
        spread = [by_kind.get(kind, stranger) for kind, stranger in zip(kinds, self._strangers, strict=True)]
        spread[self.first : self.last] = own
        return spread


@dataclass(frozen=True)
class Inner:
    """The module that runs through the layers: model.model, model.language_model.model, model.backbone, … Families name its parts
    differently: `layers` is the list itself, `embedding` the name of what makes tokens into hidden states."""

    module: Any
    layers: list[Any]
    embedding: str

    def get_embedding(self) -> Any:
        return self.module[self.embedding]

    def set_embedding(self, embedding: nn.Module) -> None:
        setattr(self.module, self.embedding, embedding)


def find_inner(model: nn.Module) -> Inner:
    """Raises MacfleetError for a model that keeps its layers otherwise than every family we know."""
    first = model.layers[0]
    for _, module in model.named_modules():
        for layers in module.values():
            if isinstance(layers, list) and layers and layers[0] is first and len(layers) == len(model.layers):
                embeddings = [name for name, part in module.items() if isinstance(part, nn.Embedding | nn.QuantizedEmbedding)]
                # Where positions are embedded too (GPT-2), no hidden state may pass in their place.
                if len(embeddings) == 1:
                    return Inner(module, layers, embeddings[0])
    raise MacfleetError(f"{type(model).__module__} keeps its layers where this version of macfleet does not find them")


class Skip(nn.Module):  # type: ignore[misc]  # mlx.nn has no types
    """A layer of another stage. It keeps the scalars that the model asks its layers for (is_linear, use_sliding)."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        for name, value in vars(layer).items():
            if isinstance(value, (bool, int, float, str)) and not name.startswith("_"):
                setattr(self, name, value)

    def __call__(self, hidden: mx.array, *args: Any, **kwargs: Any) -> mx.array:
        return hidden


class _Wrapped(nn.Module):  # type: ignore[misc]
    """Around one own layer. Every other attribute is the layer's own."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        # Not "_layer": mlx leaves names with an underscore out of parameters(), and the layer would stay unloaded.
        self.wrapped = layer

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.get("wrapped"), name)


class Entry(_Wrapped):
    """The first own layer: whatever the model made of its input so far, it continues from what was received."""

    def __init__(self, layer: nn.Module, received: Passing):
        super().__init__(layer)
        self.received = received

    def __call__(self, _hidden: mx.array, *args: Any, **kwargs: Any) -> Any:
        return self.wrapped(self.received.take(), *args, **kwargs)


class Exit(_Wrapped):
    """The last own layer: its output is the stage's."""

    def __init__(self, layer: nn.Module, output: Passing):
        super().__init__(layer)
        self.output = output

    def __call__(self, hidden: mx.array, *args: Any, **kwargs: Any) -> Any:
        self.output.value = self.wrapped(hidden, *args, **kwargs)
        return self.output.value


@dataclass
class Passing:
    """Hidden states on their way in or out. A plain object: an array set on an nn.Module would become its parameter."""

    value: mx.array | None = None

    def take(self) -> mx.array:
        value, self.value = self.value, None
        if value is None:
            raise MacfleetError("the model did not run its layers in the way that the split expects")
        return value


class Received(nn.Module):  # type: ignore[misc]
    """In place of the embedding where hidden states arrive. A tied head still needs the embedding's weights: `as_linear`."""

    def __init__(self, embedding: nn.Module):
        super().__init__()
        self.embedding = embedding

    def __call__(self, hidden: mx.array) -> mx.array:
        # A new array: gemma scales its embedding in place (`h *= scale`), which would change what was received.
        return hidden + 0

    def as_linear(self, hidden: mx.array) -> mx.array:
        output: mx.array = self.embedding.as_linear(hidden)
        return output
