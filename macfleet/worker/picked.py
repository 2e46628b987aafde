"""The picked tokens of a lane as the content of a frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from macfleet.worker.engine import NotPicked, Picked, Tensor
from macfleet.worker.frames import text


def render_picked(rows: Sequence[Picked | NotPicked]) -> Tensor:
    """Compact where nothing but the token is wanted, which is the usual case."""
    return text(json.dumps([_rendered(row) for row in rows], separators=(",", ":")).encode())


def read_picked(content: Tensor) -> tuple[Picked | NotPicked, ...]:
    return tuple(_read(row) for row in json.loads(bytes(content.data)))


def _rendered(row: Picked | NotPicked) -> object:
    if isinstance(row, NotPicked):
        return row.reason
    return row.token if row.logprob is None else [row.token, row.logprob, row.top_logprobs]


def _read(row: Any) -> Picked | NotPicked:
    match row:
        case str():
            return NotPicked(row)
        case int():
            return Picked(row)
        case [token, logprob, top]:
            return Picked(token, logprob, tuple((int(other), float(value)) for other, value in top))
    raise ValueError(f"{row!r} is no picked token")
