"""A picked token as the content of a frame."""

from __future__ import annotations

import json

from macfleet.worker.engine import Picked, Tensor
from macfleet.worker.frames import text


def render_picked(picked: Picked) -> Tensor:
    return text(json.dumps([picked.token, picked.logprob, picked.top_logprobs]).encode())


def read_picked(content: Tensor) -> Picked:
    token, logprob, top = json.loads(bytes(content.data))
    return Picked(token, logprob, tuple((int(other), float(value)) for other, value in top))
