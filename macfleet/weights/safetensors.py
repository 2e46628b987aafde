"""Which tensor lies where in a safetensors file, and whether the file can be whole.

A file is 8 bytes (the header's length, little endian), the header (JSON, offsets counted from its end), the tensors.
https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from macfleet.core.errors import WeightsBroken
from macfleet.core.units import format_size

PREFIX_BYTES = 8
_LARGEST_HEADER = 100_000_000  # the limit of the reference implementation
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """One tensor: `length` bytes at `offset` from the start of `file`."""

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


@dataclass(frozen=True)
class Header:
    """What one file holds, in the order of its bytes."""

    file: str
    tensors: tuple[Tensor, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


def header_length(prefix: bytes, file: str) -> int:
    """Bytes of the header, from the first 8 of the file; `parse_header` then wants these 8 + that many."""
    if len(prefix) < PREFIX_BYTES:
        raise _broken(file, f"has {len(prefix)} bytes, too few to be one")
    length = int(struct.unpack("<Q", prefix[:PREFIX_BYTES])[0])
    if not 2 <= length <= _LARGEST_HEADER:
        raise _broken(file, "does not start like a safetensors file")
    return length


def parse_header(data: bytes, file: str, file_bytes: int) -> Header:
    """The header in `data`, the first bytes of a file that is `file_bytes` long.

    Raises WeightsBroken for a truncated file, one with bytes nobody owns, overlapping tensors, or a size that does not
    belong to its dtype and shape.
    """
    length = header_length(data, file)
    if file_bytes < PREFIX_BYTES + length or len(data) < PREFIX_BYTES + length:
        raise _broken(file, "is truncated inside its header")
    entries = _entries(data[PREFIX_BYTES : PREFIX_BYTES + length], file)
    metadata = entries.pop("__metadata__", None) or {}
    start = PREFIX_BYTES + length
    tensors = sorted(
        (_tensor(name, entry, start, file) for name, entry in entries.items()), key=lambda tensor: (tensor.offset, tensor.length)
    )
    _check_ranges(tensors, start, file, file_bytes)
    return Header(file, tuple(tensors), {str(key): str(value) for key, value in metadata.items()})


def render_header(tensors: Sequence[tuple[str, str, tuple[int, ...], int]], metadata: Mapping[str, str]) -> bytes:
    """Length and header of a file that holds these (name, dtype, shape, bytes) one after another."""
    entries: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, dtype, shape, length in tensors:
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + length]}
        offset += length
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8
    return struct.pack("<Q", len(text)) + text


def _entries(text: bytes, file: str) -> dict[str, Any]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        raise _broken(file, "has a header that is not JSON") from None
    if isinstance(entries, dict) and entries.get("__metadata__", {}) is None:
        del entries["__metadata__"]  # mlx writes null where there is none
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise _broken(file, "has a header that names no tensors")
    return entries


def _tensor(name: str, entry: Mapping[str, Any], start: int, file: str) -> Tensor:
    try:
        dtype, shape, (begin, end) = str(entry["dtype"]), tuple(int(size) for size in entry["shape"]), entry["data_offsets"]
        begin, end = int(begin), int(end)
    except (KeyError, TypeError, ValueError):
        raise _broken(file, f"does not say where {name} is") from None
    if begin < 0 or end < begin or min(shape, default=0) < 0:
        raise _broken(file, f"says that {name} ends before it begins")
    if dtype in _BITS and prod(shape) * _BITS[dtype] != (end - begin) * 8:
        raise _broken(file, f"gives {name} {end - begin} bytes, which is not {dtype} of shape {list(shape)}")
    return Tensor(name, file, dtype, shape, start + begin, end - begin)


def _check_ranges(tensors: Sequence[Tensor], start: int, file: str, file_bytes: int) -> None:
    position, before = start, "the header"
    for tensor in tensors:
        if tensor.offset < position:
            raise _broken(file, f"has {tensor.name} overlapping {before}")
        if tensor.offset > position:
            raise _broken(file, f"has {tensor.offset - position} bytes between {before} and {tensor.name} that belong to nothing")
        position, before = tensor.offset + tensor.length, tensor.name
    if file_bytes < position:
        raise _broken(
            file, f"is truncated: {format_size(file_bytes)} of {format_size(position)} ({position - file_bytes} bytes are missing)"
        )
    if file_bytes > position:
        raise _broken(file, f"is {file_bytes - position} bytes longer than its header says")


def _broken(file: str, how: str) -> WeightsBroken:
    return WeightsBroken(f"{file} {how}", hint="fetch this file again, or compare its SHA-256 with the source")
