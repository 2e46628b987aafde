"""All tensors of a model directory, from the headers of its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from macfleet.core.errors import WeightsBroken
from macfleet.models.arithmetic import card_from_config
from macfleet.models.card import ModelCard
from macfleet.models.layout import Layout, Part, layout_of
from macfleet.weights.safetensors import PREFIX_BYTES, Header, Tensor, header_length, parse_header

INDEX_FILE = "model.safetensors.index.json"
_PACKING = (".scales", ".biases", ".global_scale")
Read = Callable[[str, int, int], bytes]


@dataclass(frozen=True)
class TensorIndex:
    """Where every tensor of a model is. `files` says how long each file is, `metadata` is that of the first one."""

    tensors: Mapping[str, Tensor]
    files: Mapping[str, int]
    metadata: Mapping[str, str]

    def tensor_bytes(self) -> dict[str, int]:
        return {name: tensor.length for name, tensor in self.tensors.items()}

    @property
    def disk_bytes(self) -> int:
        return sum(self.files.values())

    def layout(self, config: Mapping[str, Any]) -> Layout:
        """How the tensors are named. Raises WeightsBroken when a layer, the embedding, the head or a tensor of a layer is missing."""
        layout = layout_of(self.tensors, config)
        _check_layers(self.tensors, layout)
        _check_packed(self.tensors)
        return layout

    def card(self, name: str, config: Mapping[str, Any], repo: str = "") -> ModelCard:
        """The exact card of these weights."""
        layout = self.layout(config)
        return card_from_config(
            name, config, self.tensor_bytes(), element_bytes=self._element_bytes(layout), repo=repo, disk_bytes=self.disk_bytes
        )  # fmt: skip

    def _element_bytes(self, layout: Layout) -> int:
        """Activations are as wide as the embedding's numbers, or its scales where it is quantised; the KV cache too.

        Where those are bytes (mxfp4), the last norm tells.
        """
        parts = [tensor for name, tensor in self.tensors.items() if layout.part_of(name) is Part.EMBEDDING]
        scales = [tensor for tensor in parts if tensor.name.endswith(".scales")]
        if any(tensor.dtype == "U8" for tensor in scales):
            scales = [tensor for name, tensor in self.tensors.items() if layout.part_of(name) is Part.HEAD]
        return 4 if any(tensor.dtype == "F32" for tensor in scales or parts) else 2


def weight_files(names: Iterable[str]) -> list[str]:
    """The files of a model directory that hold its weights: those that mlx-lm loads (`model*.safetensors`)."""
    return sorted(name for name in names if name.startswith("model") and name.endswith(".safetensors"))


def read_index(files: Mapping[str, int], read: Read, index_json: bytes | None = None) -> TensorIndex:
    """The index of a directory's weight files (name → bytes).

    `read(file, offset, length)` returns bytes of a file; only headers are read. `index_json` is the content of
    model.safetensors.index.json where there is one: every tensor it names must be where it says. Raises WeightsBroken.
    """
    promised = _weight_map(index_json) if index_json is not None else {}
    absent = sorted(set(promised.values()) - set(files))
    if absent:
        raise WeightsBroken(f"{', '.join(absent[:3])} is missing; {INDEX_FILE} names it", hint="fetch the model again")
    if not files:
        raise WeightsBroken("there are no weights here (model*.safetensors)")
    headers = [_read_header(file, size, read) for file, size in sorted(files.items())]
    tensors = _merged(headers)
    for name, file in promised.items():
        if name not in tensors:
            raise WeightsBroken(f"{file} does not hold {name}, which {INDEX_FILE} says it does", hint="fetch the model again")
    return TensorIndex(tensors, dict(files), headers[0].metadata)


def _read_header(file: str, size: int, read: Read) -> Header:
    prefix = read(file, 0, PREFIX_BYTES)
    return parse_header(prefix + read(file, PREFIX_BYTES, header_length(prefix, file)), file, size)


def _weight_map(index_json: bytes) -> dict[str, str]:
    try:
        found = json.loads(index_json)["weight_map"]
        return {str(name): str(file) for name, file in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WeightsBroken(f"{INDEX_FILE} has no weight_map", hint="fetch this file again") from None


def _merged(headers: Iterable[Header]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for header in headers:
        for tensor in header.tensors:
            if tensor.name in tensors:
                raise WeightsBroken(f"{tensor.name} is in {tensors[tensor.name].file} and in {tensor.file}", hint="remove the older file")
            tensors[tensor.name] = tensor
    return tensors


def _check_packed(tensors: Mapping[str, Tensor]) -> None:
    """Packed weights are nothing without their scales, and in mlx's own (affine) format without their biases."""
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if kind != "weight" or tensor.dtype != "U32":
            continue
        scales = tensors.get(f"{stem}.scales")
        gone = "scales" if scales is None else "biases" if scales.dtype != "U8" and f"{stem}.biases" not in tensors else ""
        if gone:
            raise WeightsBroken(f"the weights do not hold {stem}.{gone}, which unpacks {name}", hint="fetch the model again")


def _check_layers(names: Iterable[str], layout: Layout) -> None:
    """A layer that has the tensors of its kind but for a few has lost them. How they are packed may differ from layer to layer.

    Layers differ by design (dense and with experts, full and linear attention), but no kind of layer is another kind with
    something taken away: so a single layer whose names are a part of those of several others is a damaged one.
    """
    held: list[set[str]] = [set() for _ in range(layout.layers)]
    for name in names:
        layer = layout.layer_of(name)
        if layer is not None and layout.part_of(name) is Part.LAYER and not name.endswith(_PACKING):
            held[layer].add(name[len(layout.prefix) :].partition(".")[2])
    for layer, own in enumerate(held):
        whole = [other for other in held if own < other]
        if held.count(own) == 1 and len(whole) > 1:
            lost = sorted(min(whole, key=len) - own)
            example = f"{layout.prefix}{layer}.{lost[0]}"
            more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            raise WeightsBroken(f"the weights do not hold {example}{more}; the layers like it have it", hint="fetch the model again")
