"""Models of a small config with random weights: a model directory that mlx-lm and a worker can load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.utils import _get_classes

from macfleet.core.errors import MacfleetError
from macfleet.core.units import GIB, format_size

# So large that the tokens vary, so small that the sums of wide layers do not drown everything.
_SPREAD, _WIDEST_UNSCALED = 0.3, 64
_MOST_BYTES = 2 * GIB


def make_tiny(directory: Path, config: Mapping[str, Any], *, seed: int = 0) -> Path:
    """`directory`, holding config and weights. Raises whatever mlx-lm raises for a config that it cannot build."""
    model_class, arguments = _get_classes(dict(config))
    mx.random.seed(seed)
    model = model_class(arguments.from_dict(dict(config)))
    shapes = dict(tree_flatten(model.parameters()))
    size_bytes = sum(value.nbytes for value in shapes.values())
    if size_bytes > _MOST_BYTES:
        raise MacfleetError(f"it would take {format_size(size_bytes)}")
    directory.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(directory / "model.safetensors"), {name: _random(value) for name, value in shapes.items()})
    (directory / "config.json").write_text(json.dumps(dict(config)))
    return directory


def _random(value: mx.array) -> mx.array:
    if value.ndim < 2:
        return value  # norms and biases, as the model begins with them
    spread = _SPREAD * min(1.0, (_WIDEST_UNSCALED / value.shape[-1]) ** 0.5)
    random: mx.array = mx.random.normal(value.shape) * spread
    return random
