"""A simulated Mac's place on the network: one port of this machine, whatever state the Mac is in."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from macfleet.core.errors import MacfleetError

ADDRESS = "127.0.0.1"
# Below the ports that the kernel gives to outgoing connections (Linux from 32768, macOS from 49152): while a Mac is down, one
# of those would be gone as soon as anybody connects anywhere ("Address already in use" at the next `lab up`).
PORTS = range(20_000, 32_768)
# Where a rehearsal's ports may begin: two rehearsals that want the same ones meet at their first Mac, whose port is always held.
STEP = 16
_TRIES = 200


class Listener(Protocol):
    def close(self) -> None: ...


class Door:
    """The port stays this Mac's from `lab up` to `lab down`. Open: connections are handed on. Closed: refused.
    Frozen: the kernel accepts them and nobody ever answers, as with a Mac that sleeps.
    """

    def __init__(self, port: int):
        self._socket = hold(port)
        self.port: int = self._socket.getsockname()[1]
        self._listener: Listener | None = None

    async def open(self, listen: Callable[[socket.socket], Awaitable[Listener]]) -> None:
        self.close()
        _share(self._socket, True)
        self._listener = await listen(self._socket)

    def close(self) -> None:
        """A bound socket that does not listen refuses connections and keeps the number from everybody else."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        with contextlib.suppress(OSError):
            self._socket.close()
        self._socket = hold(self.port)

    def freeze(self) -> None:
        self.close()
        _share(self._socket, True)
        self._socket.listen(128)


def choose_ports(count: int) -> range:
    """So many ports in a row that nobody uses now."""
    starts = range(PORTS.start, PORTS.stop - count, STEP)
    for start in random.choices(starts, k=_TRIES):
        if _are_free(range(start, start + count)):
            return range(start, start + count)
    raise MacfleetError(
        f"there are no {count} free ports in a row on this machine",
        truths=(f"looked {_TRIES} times between {PORTS.start} and {PORTS.stop - 1}",),
        hint="`macfleet lab down` ends rehearsals that are still up",
    )


def hold(port: int) -> socket.socket:
    """A socket bound to this port, not listening. Raises OSError when another program has it."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        _share(held, True)
        held.bind((ADDRESS, port))
        _share(held, False)
    except OSError:
        held.close()
        raise
    return held


def _share(held: socket.socket, on: bool) -> None:
    """SO_REUSEADDR: bind and listen want it, because of the connections that a Mac left behind when it went down. While
    the port is only held it is off: on Linux it lets another program bind the same port and listen there.
    """
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, on)


def _are_free(ports: range) -> bool:
    held: list[socket.socket] = []
    try:
        held.extend(hold(port) for port in ports)
    except OSError:
        return False
    finally:
        for each in held:
            each.close()
    return True
