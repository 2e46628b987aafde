"""What every rank must know of a request before its first token, as the content of a frame."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from macfleet.engines.protocol import Sampling
from macfleet.worker.engine import Reuse, Tensor
from macfleet.worker.frames import text


@dataclass(frozen=True)
class Opening:
    """How tokens are picked (the last rank's business), and the kept prefix that the request goes on from, if there is one."""

    sampling: Sampling
    reuse: Reuse | None = None


def render_opening(opening: Opening) -> Tensor:
    reuse = None if opening.reuse is None else asdict(opening.reuse)
    return text(json.dumps({"sampling": opening.sampling.model_dump(mode="json"), "reuse": reuse}).encode())


def read_opening(content: Tensor) -> Opening:
    said = json.loads(bytes(content.data))
    return Opening(Sampling.model_validate_json(json.dumps(said["sampling"])), None if said["reuse"] is None else Reuse(**said["reuse"]))
