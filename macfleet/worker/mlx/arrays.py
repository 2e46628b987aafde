"""mx.array ↔ Tensor. Both copy once; a token's hidden states are a few KiB."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from macfleet.core.errors import MacfleetError
from macfleet.worker.engine import Tensor

_MLX = {"int32": mx.int32, "float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}
_NAMES = {dtype: name for name, dtype in _MLX.items()}
_NUMPY = {"int32": np.int32, "float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}


def to_tensor(array: mx.array) -> Tensor:
    """`array`, evaluated. numpy has no bfloat16, so its bits travel as uint16."""
    name = _NAMES.get(array.dtype)
    if name is None:
        raise MacfleetError(f"hidden states of {array.dtype} do not travel between stages")
    bits = array.view(mx.uint16) if name == "bfloat16" else array
    return Tensor(name, tuple(array.shape), np.array(bits).data.cast("B"))


def to_array(tensor: Tensor) -> mx.array:
    array = mx.array(np.frombuffer(tensor.data, dtype=_NUMPY[tensor.dtype]).reshape(tensor.shape))
    return array.view(mx.bfloat16) if tensor.dtype == "bfloat16" else array
