"""The logs of a service, from all its Macs, each line with the Mac and the job it comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from posixpath import join

from macfleet.core.command import command
from macfleet.core.errors import CommandFailed
from macfleet.core.outcome import Report
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Mac
from macfleet.serving.services import Deployed

OnLine = Callable[[str, str, str], None]  # Mac, job, line


@dataclass(frozen=True)
class JobLog:
    """The end of one job's log; `lines` oldest first."""

    kind: str
    lines: tuple[str, ...]


def read_logs(fleet: Fleet, deployed: Deployed, lines: int) -> Report[tuple[JobLog, ...]]:
    """The last `lines` of every job's log."""

    def read(mac: Mac, connection: Connection) -> tuple[JobLog, ...]:
        return tuple(_tail(mac, connection, deployed, kind, lines) for kind in _kinds(mac, deployed))

    return fleet.each(read, macs=_macs(fleet, deployed), doing="reading its logs")


def follow_logs(fleet: Fleet, deployed: Deployed, lines: int, on_line: OnLine) -> Report[None]:
    """Hands over lines as they are written, until interrupted. `on_line` is called from one thread per Mac.

    `tail -F` goes on with the new file after newsyslog has put the old one aside.
    """

    def follow(mac: Mac, connection: Connection) -> None:
        kinds = {_path(mac, deployed, kind): kind for kind in _kinds(mac, deployed)}
        current = next(iter(kinds.values()))

        def hear(line: str) -> None:
            nonlocal current
            # With several files, tail says between two empty lines which one it goes on with: `==> PATH <==`.
            if line.startswith("==> ") and line.rstrip().endswith(" <=="):
                current = kinds.get(line.strip()[4:-4], current)
            elif line.strip():
                on_line(mac.name, current, line.rstrip("\n"))

        connection.follow(command("tail", "-n", str(lines), "-F", *kinds), hear)

    return fleet.each(follow, macs=_macs(fleet, deployed), doing="following its logs")


def _macs(fleet: Fleet, deployed: Deployed) -> Sequence[Mac]:
    """The service's Macs among those that were chosen."""
    return [mac for mac in fleet.macs if mac.name in deployed.macs]


def _kinds(mac: Mac, deployed: Deployed) -> tuple[str, ...]:
    return ("gateway", "worker") if mac.name == deployed.head else ("worker",)


def _path(mac: Mac, deployed: Deployed, kind: str) -> str:
    return join(mac.paths.logs, f"{deployed.name}.{kind}.log")


def _tail(mac: Mac, connection: Connection, deployed: Deployed, kind: str, lines: int) -> JobLog:
    result = connection.read([command("tail", "-n", str(lines), _path(mac, deployed, kind))])[0]
    if result.ok:
        return JobLog(kind, tuple(result.stdout.splitlines()))
    if "No such file" in result.stderr:
        return JobLog(kind, ())
    raise CommandFailed(result.failure(), mac=mac.name)
