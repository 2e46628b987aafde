"""A simulated Mac's place on the network: one port of this machine, whatever state the Mac is in."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

ADDRESS = "127.0.0.1"


class Listener(Protocol):
    def close(self) -> None: ...


class Door:
    """The port stays this Mac's from `lab up` to `lab down`. Open: connections are handed on. Closed: refused.
    Frozen: the kernel accepts them and nobody ever answers, as with a Mac that sleeps.
    """

    def __init__(self, port: int):
        self._socket = _bind(port)
        self.port: int = self._socket.getsockname()[1]
        self._listener: Listener | None = None

    async def open(self, listen: Callable[[socket.socket], Awaitable[Listener]]) -> None:
        self.close()
        self._listener = await listen(self._socket)

    def close(self) -> None:
        """A bound socket that does not listen refuses connections and keeps the number from everybody else."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        with contextlib.suppress(OSError):
            self._socket.close()
        self._socket = _bind(self.port)

    def freeze(self) -> None:
        self.close()
        self._socket.listen(128)


def _bind(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((ADDRESS, port))
    return bound
