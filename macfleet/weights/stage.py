"""What one stage of a pipeline needs of a model: its tensors, and the file that holds just them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from macfleet.models.layout import Layout, Part
from macfleet.weights.index import TensorIndex
from macfleet.weights.safetensors import Tensor, render_header


@dataclass(frozen=True)
class ByteRange:
    """`length` bytes at `offset` of a source file."""

    file: str
    offset: int
    length: int


@dataclass(frozen=True)
class StageFile:
    """A safetensors file that need not exist to be sent: `header`, then `ranges` of the source files, one after another."""

    name: str
    header: bytes
    ranges: tuple[ByteRange, ...]
    tensors: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return len(self.header) + sum(part.length for part in self.ranges)

    def fingerprint(self, identity: Mapping[str, str]) -> str:
        """Changes when the file would: of the layout, and of what the caller knows of each source (size and time, or a hash)."""
        digest = hashlib.sha256(self.header)
        for part in self.ranges:
            digest.update(f"{part.file}\0{identity[part.file]}\0{part.offset}\0{part.length}\n".encode())
        return digest.hexdigest()


def stage_tensors(index: TensorIndex, layout: Layout, first_layer: int, last_layer: int) -> tuple[Tensor, ...]:
    """The tensors of the stage with the layers first..last (last exclusive), in the order they lie in the source files.

    The first stage gets the embedding, the last one norm and head; where the head is the embedding, the last one gets that.
    """
    if not 0 <= first_layer < last_layer <= layout.layers:
        raise ValueError(f"layers {first_layer}..{last_layer} are no stage of a model with {layout.layers}")
    is_first, is_last = first_layer == 0, last_layer == layout.layers
    ends = {Part.SHARED}
    ends |= {Part.EMBEDDING} if is_first or (is_last and layout.is_tied) else set()
    ends |= {Part.HEAD} if is_last else set()
    wanted = [
        tensor
        for name, tensor in index.tensors.items()
        if layout.part_of(name) in ends or _is_in(layout, name, range(first_layer, last_layer))
    ]
    return tuple(sorted(wanted, key=lambda tensor: (tensor.file, tensor.offset)))


def stage_name(first_layer: int, last_layer: int) -> str:
    """`stage-0-20.safetensors` holds the layers 0 to 19."""
    return f"stage-{first_layer}-{last_layer}.safetensors"


def plan_stage_file(index: TensorIndex, layout: Layout, first_layer: int, last_layer: int) -> StageFile:
    """The stage's own file as a header and byte ranges, so that it can be streamed without ever being whole in memory."""
    tensors = stage_tensors(index, layout, first_layer, last_layer)
    header = render_header([(tensor.name, tensor.dtype, tensor.shape, tensor.length) for tensor in tensors], index.metadata)
    names = tuple(tensor.name for tensor in tensors)
    return StageFile(stage_name(first_layer, last_layer), header, tuple(_joined(tensors)), names)


def covers_exactly_once(stages: Sequence[tuple[int, int]], layers: int) -> bool:
    """Whether the stages (last exclusive) hold the layers 0..layers-1, each once. mlx-lm before 0.32 lost some."""
    held = [layer for first, last in sorted(stages) for layer in range(first, last)]
    return held == list(range(layers))


def _is_in(layout: Layout, name: str, layers: range) -> bool:
    return layout.part_of(name) is Part.LAYER and layout.layer_of(name) in layers


def _joined(tensors: Iterable[Tensor]) -> list[ByteRange]:
    """Neighbours in the source are read in one go."""
    ranges: list[ByteRange] = []
    for tensor in tensors:
        last = ranges[-1] if ranges else None
        if last is not None and last.file == tensor.file and last.offset + last.length == tensor.offset:
            ranges[-1] = ByteRange(last.file, last.offset, last.length + tensor.length)
        elif tensor.length:
            ranges.append(ByteRange(tensor.file, tensor.offset, tensor.length))
    return ranges
