"""A model directory as the hub has them: config.json, model.safetensors, and the index that says which tensor is where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx


def write_model(directory: Path, config: Mapping[str, Any], tensors: Mapping[str, mx.array]) -> None:
    """One safetensors file with its index. `directory` exists."""
    _write_json(directory / "config.json", config)
    _write_json(directory / "generation_config.json", {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")})
    mx.save_safetensors(str(directory / "model.safetensors"), dict(tensors), metadata={"format": "mlx"})
    total = sum(tensor.nbytes for tensor in tensors.values())
    names = dict.fromkeys(sorted(tensors), "model.safetensors")
    _write_json(directory / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": names})


def _write_json(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n")
