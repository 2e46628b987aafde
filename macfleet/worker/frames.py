"""What travels between neighbouring ranks: a fixed header that says what it is, then the content.

The header is checked on arrival: magic, epoch, sequence number, shape against length. A link that loses or repeats a frame is
found at the next one, not in a wrong answer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from math import prod

from macfleet.core.errors import MacfleetError
from macfleet.worker.engine import Tensor


class FrameBroken(MacfleetError):
    """The link brought something that is not the next frame of this gang."""


class Kind(IntEnum):
    PROBE = 1  # the link works: nothing else
    OPEN = 2  # a new slot; the content is its Opening as JSON
    PREFILL = 3  # tokens of one slot's prompt: fill its cache
    DECODE = 4  # the newest token of each member of a lane: fill the caches and pick the next ones
    KEEP = 5  # remember the slot's cache as the prefix number `position`
    FREE = 6  # forget the slot
    DROP = 7  # forget the prefix number `position`
    FILLED = 8  # last rank → rank 0: a PREFILL has gone through
    PICKED = 9  # last rank → rank 0: the next token of each member, as JSON
    FAILED = 10  # to rank 0: a stage could not compute this; the content is the reason


_DTYPES = ("bytes", "int32", "float32", "float16", "bfloat16")
_ITEM_BYTES = (1, 4, 4, 2, 2)
# magic, kind, dtype, dimensions, ranks that computed, members, epoch, slot, sequence, position, shape × 3, waited, content bytes
_HEADER = struct.Struct("<4sBBBBHIIQIIIIfQ")
HEADER_BYTES = _HEADER.size
_MAGIC = b"MFL3"
_MEMBER = struct.Struct("<II")
_SECONDS = struct.Struct("<f")


NOTHING = Tensor("bytes", (0,), b"")


@dataclass(frozen=True)
class Member:
    """One row of a lane: the slot, and how many of its tokens come before this one."""

    slot: int
    position: int


@dataclass(frozen=True)
class Frame:
    """`slot`: of DECODE and its answers the lane, whose rows are `members`. `position`: how many of the slot's tokens come before.

    `step_s`: how long each rank has computed on it so far; `waited_s`: how long it has lain at ranks that were busy. `sequence`
    counts the frames of one link in one epoch. `arrived`, by this Mac's monotonic clock, does not travel.
    """

    kind: Kind
    epoch: int
    slot: int = 0
    position: int = 0
    content: Tensor = NOTHING
    sequence: int = 0
    members: tuple[Member, ...] = ()
    step_s: tuple[float, ...] = ()
    waited_s: float = 0.0
    arrived: float | None = field(default=None, compare=False)


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
        len(frame.step_s),
        len(frame.members),
        frame.epoch,
        frame.slot,
        sequence,
        frame.position,
        *shape,
        frame.waited_s,
        len(content.data),
    )


def pack_rows(frame: Frame) -> bytes:
    """What stands between header and content: members and step times."""
    members = [_MEMBER.pack(member.slot, member.position) for member in frame.members]
    return b"".join([*members, *(_SECONDS.pack(seconds) for seconds in frame.step_s)])


def row_bytes(header: bytes) -> int:
    """How many bytes of rows follow this header. Raises FrameBroken."""
    ranks, members = _unpack(header)[4:6]
    return members * _MEMBER.size + ranks * _SECONDS.size


def content_bytes(header: bytes) -> int:
    """How many bytes of content follow the rows. Raises FrameBroken."""
    return int(_unpack(header)[-1])


def unpack(header: bytes, rows: bytes | memoryview, content: bytes | memoryview) -> Frame:
    """The frame that arrived. Raises FrameBroken."""
    _, kind, dtype, dimensions, _, count, epoch, slot, sequence, position, *sizes, waited_s, length = _unpack(header)
    shape = tuple(sizes[:dimensions])
    if len(rows) != row_bytes(header) or len(content) != length or prod(shape) * _ITEM_BYTES[dtype] != length:
        raise FrameBroken(f"a frame of shape {list(shape)} {_DTYPES[dtype]} came with {len(content)} bytes, its rows with {len(rows)}")
    cut = count * _MEMBER.size
    members = tuple(Member(*pair) for pair in _MEMBER.iter_unpack(rows[:cut]))
    step_s = tuple(seconds for (seconds,) in _SECONDS.iter_unpack(rows[cut:]))
    return Frame(Kind(kind), epoch, slot, position, Tensor(_DTYPES[dtype], shape, content), sequence, members, step_s, waited_s)


def _unpack(header: bytes) -> tuple[int, ...]:
    if len(header) != HEADER_BYTES or header[:4] != _MAGIC:
        raise FrameBroken("the previous rank sent something that is no frame of this version")
    fields: tuple[int, ...] = _HEADER.unpack(header)
    kind, dtype, dimensions = fields[1:4]
    if kind not in Kind._value2member_map_ or dtype >= len(_DTYPES) or dimensions > 3:
        raise FrameBroken(f"a frame of unknown kind {kind}/{dtype}/{dimensions}")
    return fields
