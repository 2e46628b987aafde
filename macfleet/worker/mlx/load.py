"""The weights of one stage, and only those, from a stage's own file or from a whole model directory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model

from macfleet.core.errors import RequestError, WeightsBroken
from macfleet.models.families import refuse_unproven
from macfleet.models.kv import KvQuantization
from macfleet.weights.safetensors import PREFIX_BYTES, header_length, parse_header
from macfleet.weights.stage import stage_name
from macfleet.worker.mlx.layout import columns_are_quicker, keep_by_columns
from macfleet.worker.mlx.split import Stage, find_inner

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_HEADS = ("lm_head", "output", "embed_out")  # as families call it; models/layout.py knows the same names
Tensors = dict[str, mx.array]


@dataclass(frozen=True)
class Loaded:
    """A stage that is in memory, its tensors' names as the model has them, and its size."""

    stage: Stage
    names: tuple[str, ...]
    weight_bytes: int


def load_stage(
    model_dir: Path, first: int, last: int, *, layers_expected_last: bool, is_proved: bool = False, kv: KvQuantization | None = None
) -> Loaded:
    """Layers `first` up to, not including, `last`; with layer 0 the embedding, with the last layer norm and head.

    `layers_expected_last`: this stage is meant to end the model. Raises WeightsBroken for a truncated file, a missing tensor
    or one of a wrong shape, RequestError for a layer that the model does not have, or for a family that is not on the allow-list
    unless it `is_proved` otherwise.
    """
    stage_file = model_dir / stage_name(first, last)
    from_stage_file = _read(stage_file) if stage_file.exists() else None
    own: Tensors = {}

    def classes(config: Mapping[str, Any]) -> tuple[type[nn.Module], type]:
        if not is_proved:
            refuse_unproven(str(config.get("model_type")))
        return _own_layers_only(config, from_stage_file, first, last, own)

    model = _build(model_dir, classes, needs_files=from_stage_file is None)
    if from_stage_file is not None:
        from_stage_file.clear()  # what is kept otherwise from now on would be there twice
    layer_count = len(model.layers)
    if last > layer_count or (last == layer_count) != layers_expected_last:
        raise RequestError(f"{model_dir}: layers {first}..{last} are not what this rank of a model of {layer_count} layers must have")
    if columns_are_quicker():
        keep_by_columns(model, own, is_last=layers_expected_last)
    stage = Stage(model, first, last, kv)
    _read_from_disk(own)
    return Loaded(stage, tuple(sorted(own)), sum(tensor.nbytes for tensor in own.values()))


def _build(model_dir: Path, classes: Any, *, needs_files: bool) -> nn.Module:
    """mlx-lm's own loader (config, quantisation of every kind), told by `classes` which tensors are ours."""
    if not (model_dir / "config.json").exists():
        raise WeightsBroken(f"{model_dir} holds no config.json", hint="stage the model again: macfleet deploy")
    if needs_files:
        _check_files(model_dir)
    try:
        model, _ = load_model(model_dir, lazy=True, strict=False, get_model_classes=classes)
    except RuntimeError as error:  # mx.load, for a file it cannot read
        raise WeightsBroken(f"{model_dir}: {error}", hint="stage the model again: macfleet deploy") from error
    return model


def _own_layers_only(
    config: Mapping[str, Any], from_stage_file: Tensors | None, first: int, last: int, own: Tensors
) -> tuple[type[nn.Module], type]:
    """mlx-lm's classes for `config`, changed at the two places where tensors come in."""
    from mlx_lm.utils import _get_classes

    base, arguments = _get_classes(dict(config))

    class OwnLayers(base):  # type: ignore[misc,valid-type]  # a class that mlx_lm chose
        def sanitize(self, weights: Tensors) -> Tensors:
            found = weights if from_stage_file is None else from_stage_file
            ours = {name: tensor for name, tensor in found.items() if _is_own(name, first, last)}
            return dict(super().sanitize(ours)) if hasattr(super(), "sanitize") else ours

        def load_weights(self, weights: Iterable[tuple[str, mx.array]], strict: bool = True) -> nn.Module:
            own.update(_checked(self, dict(weights), first, last))
            return super().load_weights(list(own.items()), strict=False)

    OwnLayers.__name__, OwnLayers.__module__ = base.__name__, base.__module__
    return OwnLayers, arguments


def _is_own(name: str, first: int, last: int) -> bool:
    """Everything outside the layers too: it is only named here, not read, and `_checked` takes what the stage needs."""
    layer = _LAYER.search(name)
    return layer is None or first <= int(layer[1]) < last


def _checked(model: nn.Module, found: Tensors, first: int, last: int) -> Tensors:
    """The tensors that this stage needs, each present and of the right shape.

    mlx fills what is missing with random numbers and says nothing, so nothing is left to its `strict=False`.
    """
    wanted = _wanted(model, first, last)
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise WeightsBroken(
            f"{len(missing)} tensors of layers {first}..{last} are missing: {_some(missing)}",
            hint="stage the model again; a checkpoint that is not in mlx-lm's layout needs `mlx_lm.convert` first",
        )
    unknown = sorted(name for name in found if _LAYER.search(name) and name not in wanted)
    if unknown:
        raise WeightsBroken(f"{len(unknown)} tensors are unknown to this model: {_some(unknown)}")
    misshapen = sorted(name for name, shape in wanted.items() if found[name].shape != shape)
    if misshapen:
        name = misshapen[0]
        raise WeightsBroken(f"{name} has shape {list(found[name].shape)}, the config says {list(wanted[name])}")
    return {name: found[name] for name in wanted}


def _wanted(model: nn.Module, first: int, last: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter of this stage."""
    inner = find_inner(model)
    is_last = last == len(inner.layers)
    shapes = {name: tuple(value.shape) for name, value in tree_flatten(model.parameters())}
    embedding = {id(value) for _, value in tree_flatten(inner.get_embedding().parameters())}
    embedding_names = {name for name, value in tree_flatten(model.parameters()) if id(value) in embedding}
    is_tied = all(name.rpartition(".")[2] not in _HEADS for name, _ in model.named_modules())

    def is_wanted(name: str) -> bool:
        if layer := _LAYER.search(name):
            return first <= int(layer[1]) < last
        if name in embedding_names:
            return first == 0 or (is_last and is_tied)
        return is_last

    return {name: shape for name, shape in shapes.items() if is_wanted(name)}


def _check_files(model_dir: Path) -> None:
    files = sorted(model_dir.glob("model*.safetensors"))
    if not files:
        raise WeightsBroken(f"{model_dir} holds no weights", hint="stage the model again: macfleet deploy")
    for file in files:
        _check_size(file)


def _check_size(file: Path) -> None:
    """A safetensors file is as long as its header says. mlx notices only while reading, on a thread that ends the process."""
    with file.open("rb") as stream:
        prefix = stream.read(PREFIX_BYTES)
        header = prefix + stream.read(header_length(prefix, str(file)))
    parse_header(header, str(file), file.stat().st_size)


def _read(file: Path) -> Tensors:
    _check_size(file)
    try:
        tensors: Tensors = mx.load(str(file))  # type: ignore[assignment]  # typed for every format
        return tensors
    except RuntimeError as error:
        raise WeightsBroken(f"{file}: {error}", hint="stage the model again: macfleet deploy") from error


def _read_from_disk(own: Tensors) -> None:
    """Evaluate layer by layer, so that what is in flight is one layer and not the stage."""
    by_layer: dict[str, list[mx.array]] = {}
    for name, tensor in own.items():
        layer = _LAYER.search(name)
        by_layer.setdefault(layer[1] if layer else name, []).append(tensor)
    for tensors in by_layer.values():
        mx.eval(tensors)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
