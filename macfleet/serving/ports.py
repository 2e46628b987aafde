"""Whether a port is free, asked of the kernel that will have to give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import Command, command
from macfleet.core.errors import CommandFailed, ServiceFailed
from macfleet.fleet.connection import Connection
from macfleet.inventory.mac import Mac

# Binding is the only question whose answer cannot be misread. Errors become macOS's own numbers, wherever this runs.
_TRY = """\
import errno, socket, sys
with socket.socket() as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind((sys.argv[1], int(sys.argv[2])))
        s.listen(1)
    except OSError as error:
        print(error.strerror, file=sys.stderr)
        sys.exit({errno.EADDRINUSE: 48, errno.EADDRNOTAVAIL: 49}.get(error.errno, 1))
"""


@dataclass(frozen=True)
class Wanted:
    """A port that one Mac of the gang must have free, and what for."""

    address: str
    port: int
    purpose: str


def refuse_taken(mac: Mac, connection: Connection, wanted: Sequence[Wanted]) -> None:
    """Raises ServiceFailed for a port that somebody else has, before anything is started."""
    results = connection.run([_ask(mac, one) for one in wanted])
    for one, result in zip(wanted, results, strict=True):
        match result.exit_status:
            case 0:
                continue
            case 48:
                raise ServiceFailed(
                    f"port {one.port} of {mac.name} is taken, {one.purpose} needs it",
                    mac=mac.name,
                    truths=("another process listens there; nothing was started",),
                    hint=f"`macfleet exec --mac {mac.name} --sudo -- lsof -nP -iTCP:{one.port} -sTCP:LISTEN` names it; "
                    "or give the service another `port` in the inventory, or `--port`",
                )
            case 49:
                raise ServiceFailed(
                    f"{mac.name} has no address {one.address}, where {one.purpose} must listen",
                    mac=mac.name,
                    hint="write an address of the Mac itself as `listen`, or `0.0.0.0` for all of them",
                )
        raise CommandFailed(result.failure(), mac=mac.name)


def _ask(mac: Mac, wanted: Wanted) -> Command:
    return command(mac.paths.python, "-I", "-c", _TRY, wanted.address, str(wanted.port), timeout_s=20)
