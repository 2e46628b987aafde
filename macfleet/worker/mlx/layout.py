"""How weights lie in memory where no Metal multiplies them.

mlx's wheel for Linux brings the reference BLAS. For x·Wᵀ, which is what every layer computes, it makes one sum after another along the
rows of W; where W is kept by columns it adds up whole columns, which its compiler has vectorised. Both add in the same order, so the
results are the same bits, and the second takes half as long. (A bias would come in at the other end of the sum, so layers that have one
stay as they are.) The head of a model is larger than the processor's caches and would be
read from memory again for every row of a batch; in blocks it is read once.
"""

from __future__ import annotations

import time

import mlx.core as mx
import mlx.nn as nn

# By so much, or the copy is not worth it. OpenBLAS and Accelerate do as well either way.
_GAIN = 1.3
_ROWS, _WIDTH, _TRIES = 16, 256, 5
_HEAD_ROWS = 8192  # a matrix with so many is a head, or an embedding
_BLOCK_ROWS = range(4096, 511, -1)

Tensors = dict[str, mx.array]


def columns_are_quicker() -> bool:
    """Measured, in some milliseconds; False where Metal computes."""
    if mx.metal.is_available():
        return False
    inputs, weight = mx.ones((_ROWS, _WIDTH)), mx.ones((_WIDTH, _WIDTH))
    by_columns = _by_columns(weight)
    mx.eval(inputs, weight, by_columns)
    return _seconds(inputs, weight) > _GAIN * _seconds(inputs, by_columns)


def keep_by_columns(model: nn.Module, own: Tensors, *, is_last: bool) -> None:
    """Every float32 matrix of `own` (name to tensor, still to be read) is kept by columns from now on, in `model` too.

    The largest first, while nothing else is in memory: each is there twice for a moment. An embedding is only looked up, row by
    row, unless it is the last stage's head.
    """
    modules = dict(model.named_modules())
    has_own_head = any(
        type(modules[name.removesuffix(".weight")]) is nn.Linear and _block_rows(own[name]) for name in own if name.endswith(".weight")
    )
    is_embedding_head = is_last and not has_own_head
    names = [name for name, tensor in own.items() if name.endswith(".weight") and tensor.dtype == mx.float32 and tensor.ndim >= 2]
    for name in sorted(names, key=lambda name: own[name].nbytes, reverse=True):
        place = name.removesuffix(".weight")
        module = modules[place]
        if "bias" in module or type(module) in (nn.Conv1d, nn.Conv2d) or (type(module) is nn.Embedding and not is_embedding_head):
            continue
        block = _block_rows(own[name])
        if block and type(module) in _IN_BLOCKS:
            parent, _, key = place.rpartition(".")
            in_blocks = _IN_BLOCKS[type(module)](own[name], block)
            setattr(modules[parent], key, in_blocks)
            own[name] = in_blocks.blocks
            del modules[place], module  # with the matrix, which would lie beside its blocks
        else:
            own[name] = module.weight = _by_columns(own[name])
        mx.eval(own[name])


class _Blocks:
    """A matrix [rows, width] as blocks [blocks, width, rows of a block]."""

    blocks: mx.array

    def _cut(self, matrix: mx.array, block: int) -> None:
        rows, width = matrix.shape
        self.blocks = mx.contiguous(matrix.reshape(rows // block, block, width).swapaxes(1, 2))

    @property
    def weight(self) -> mx.array:
        """As other code expects it; a copy."""
        return self.blocks.swapaxes(1, 2).reshape(-1, self.blocks.shape[1])

    def _times(self, hidden: mx.array) -> mx.array:
        """hidden·matrixᵀ: [..., width] to [..., rows]."""
        parts = hidden.reshape(1, -1, hidden.shape[-1]) @ self.blocks
        return parts.swapaxes(0, 1).reshape(*hidden.shape[:-1], -1)


class LinearInBlocks(_Blocks, nn.Linear):  # type: ignore[misc]  # mlx.nn has no types
    def __init__(self, weight: mx.array, block: int):
        nn.Module.__init__(self)
        self._cut(weight, block)

    def __call__(self, hidden: mx.array) -> mx.array:
        return self._times(hidden)


class EmbeddingInBlocks(_Blocks, nn.Embedding):  # type: ignore[misc]
    """An embedding that is the head too."""

    def __init__(self, weight: mx.array, block: int):
        nn.Module.__init__(self)
        self._cut(weight, block)

    def __call__(self, tokens: mx.array) -> mx.array:
        block = self.blocks.shape[2]
        return self.blocks[tokens // block, :, tokens % block]

    def as_linear(self, hidden: mx.array) -> mx.array:
        return self._times(hidden)


_IN_BLOCKS = {nn.Linear: LinearInBlocks, nn.Embedding: EmbeddingInBlocks}


def _block_rows(matrix: mx.array) -> int | None:
    """The largest block that divides a head evenly; None for what is no head."""
    rows = matrix.shape[0]
    return next((block for block in _BLOCK_ROWS if rows % block == 0), None) if matrix.ndim == 2 and rows >= _HEAD_ROWS else None


def _by_columns(matrix: mx.array) -> mx.array:
    """The same matrix, or stack of matrices."""
    return mx.contiguous(matrix.swapaxes(-1, -2)).swapaxes(-1, -2)


def _seconds(inputs: mx.array, weight: mx.array) -> float:
    """The quickest of some tries."""

    def once() -> float:
        began = time.perf_counter()
        mx.eval(inputs @ weight.T)
        return time.perf_counter() - began

    return min(once() for _ in range(_TRIES))
