"""What travels between neighbouring ranks: a fixed header that says what it is, then the content.

The header is checked on arrival: magic, epoch, sequence number, shape against length. A link that loses or repeats a frame is
found at the next one, not in a wrong answer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from math import prod

from macfleet.core.errors import MacfleetError
from macfleet.worker.engine import Tensor


class FrameBroken(MacfleetError):
    """The link brought something that is not the next frame of this gang."""


class Kind(IntEnum):
    PROBE = 1  # the link works: nothing else
    OPEN = 2  # a new slot; the content is its Sampling as JSON
    PREFILL = 3  # tokens of the prompt: fill the cache
    DECODE = 4  # the newest token: fill the cache and pick the next one
    FREE = 5  # forget the slot
    FILLED = 6  # last rank → rank 0: a PREFILL has gone through
    PICKED = 7  # last rank → rank 0: the next token, as JSON
    FAILED = 8  # to rank 0: a stage could not compute this slot; the content is the reason


_DTYPES = ("bytes", "int32", "float32", "float16", "bfloat16")
_ITEM_BYTES = (1, 4, 4, 2, 2)
# magic, kind, dtype, dimensions, reserved, epoch, slot, sequence, position, shape × 3, content bytes
_HEADER = struct.Struct("<4sBBBBIIQIIIIQ")
HEADER_BYTES = _HEADER.size
_MAGIC = b"MFL1"


NOTHING = Tensor("bytes", (0,), b"")


@dataclass(frozen=True)
class Frame:
    """`position`: how many tokens of the slot come before this tensor. `sequence` counts the frames of one link in one epoch."""

    kind: Kind
    epoch: int
    slot: int = 0
    position: int = 0
    content: Tensor = NOTHING
    sequence: int = 0


def text(content: bytes) -> Tensor:
    """Bytes that are no array (JSON, a reason) as the content of a frame."""
    return Tensor("bytes", (len(content),), content)


def pack_header(frame: Frame, sequence: int) -> bytes:
    content = frame.content
    shape = (*content.shape, 0, 0, 0)[:3]
    return _HEADER.pack(
        _MAGIC,
        frame.kind,
        _DTYPES.index(content.dtype),
        len(content.shape),
        0,
        frame.epoch,
        frame.slot,
        sequence,
        frame.position,
        *shape,
        len(content.data),
    )


def content_bytes(header: bytes) -> int:
    """How many bytes follow this header. Raises FrameBroken."""
    return int(_unpack(header)[-1])


def unpack(header: bytes, content: bytes | memoryview) -> Frame:
    """The frame that arrived. Raises FrameBroken."""
    _, kind, dtype, dimensions, _, epoch, slot, sequence, position, *sizes, length = _unpack(header)
    shape = tuple(sizes[:dimensions])
    if len(content) != length or prod(shape) * _ITEM_BYTES[dtype] != length:
        raise FrameBroken(f"a frame of shape {list(shape)} {_DTYPES[dtype]} came with {len(content)} bytes")
    return Frame(Kind(kind), epoch, slot, position, Tensor(_DTYPES[dtype], shape, content), sequence)


def _unpack(header: bytes) -> tuple[int, ...]:
    if len(header) != HEADER_BYTES or header[:4] != _MAGIC:
        raise FrameBroken("the previous rank sent something that is no frame of this version")
    fields: tuple[int, ...] = _HEADER.unpack(header)
    kind, dtype, dimensions = fields[1:4]
    if kind not in Kind._value2member_map_ or dtype >= len(_DTYPES) or dimensions > 3:
        raise FrameBroken(f"a frame of unknown kind {kind}/{dtype}/{dimensions}")
    return fields
