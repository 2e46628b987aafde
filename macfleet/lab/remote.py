"""How the lab talks to the process of a simulated Mac; `lab/control.py` answers there."""

from __future__ import annotations

import json
import socket
from typing import Any

from macfleet.core.errors import MacfleetError
from macfleet.lab.paths import MacDir
from macfleet.lab.state import load_state

TIMEOUT_S = 20.0


class LabError(MacfleetError):
    """The rehearsal fleet itself does not do what was asked of it."""


def ask(directory: MacDir, verb: str, **arguments: Any) -> Any:
    """Ask one Mac's process and wait for the answer."""
    try:
        path = load_state(directory.state).socket
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(TIMEOUT_S)
            line.connect(path)
            message = b"control\0" + json.dumps({"verb": verb, **arguments}).encode()
            line.sendall(len(message).to_bytes(4, "big") + message)
            answer = _first_frame(line)
    except OSError as error:
        hint = "`macfleet lab down`, then `macfleet lab up`"
        raise LabError(f"the process of {directory.name} does not answer", mac=directory.name, truths=[str(error)], hint=hint) from error
    if "error" in answer:
        raise LabError(f"{directory.name} could not {verb}: {answer['error']}", mac=directory.name)
    return answer["value"]


def _first_frame(line: socket.socket) -> Any:
    with line.makefile("rb") as stream:
        header = stream.read(5)
        if len(header) < 5:
            raise ConnectionResetError("it hung up")
        return json.loads(stream.read(int.from_bytes(header[1:], "big")))
