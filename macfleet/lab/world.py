"""What an emulated program sees: its own Mac and the other ends of its cables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from macfleet.inventory import hardware
from macfleet.inventory.hardware import Hardware
from macfleet.lab.cables import Cable, Plug, load_cables
from macfleet.lab.job import Job
from macfleet.lab.paths import MacDir
from macfleet.lab.state import Kernel, Power, State, ThunderboltPort, load_state


@dataclass(frozen=True)
class Call:
    """One start of an emulated program. `argv[0]` is its name without a directory."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    is_root: bool = False
    cwd: str = "/"

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.argv[1:]


@dataclass(frozen=True)
class Reply:
    """What the program prints and how it ends."""

    stdout: str | bytes = ""
    stderr: str = ""
    exit_status: int = 0


def failed(message: str, exit_status: int = 1) -> Reply:
    return Reply(stderr=message + "\n", exit_status=exit_status)


class Launchd(Protocol):
    """launchd as `launchctl` and `brew services` use it; the real one is `lab/launchd.py`."""

    jobs: dict[str, Job]

    def bootstrap(self, path: Path) -> int: ...
    async def bootout(self, label: str) -> int: ...
    async def kickstart(self, label: str, *, kill: bool) -> int: ...
    def kill(self, label: str, signal_number: int) -> int: ...


@dataclass
class World:
    """The whole of what a program may read and change. `restart` and `halt` return at once and act a moment later."""

    state: State
    kernel: Kernel
    dir: MacDir
    launchd: Launchd
    restart: Callable[[], None] = lambda: None
    halt: Callable[[], None] = lambda: None
    _peers: dict[Path, tuple[int, State]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.dir.root

    @property
    def hardware(self) -> Hardware:
        row = hardware.find(self.state.hardware)
        assert row is not None, f"state.json names no known hardware: {self.state.hardware}"
        return row

    def path(self, path: str, cwd: str = "/") -> Path:
        """Where a path of the Mac is on this machine: paths below `root` are meant as they are, macOS's own are looked up in it."""
        absolute = Path(cwd) / path
        if absolute.is_relative_to(self.dir.path):
            return absolute
        if str(absolute).startswith(("/Library/", "/System/", "/var/db/", "/opt/homebrew/", "/Users/", "/etc/")):
            return self.root / str(absolute).lstrip("/")
        return absolute

    def port_of(self, interface: str) -> ThunderboltPort | None:
        return next((port for port in self.state.ports if port.interface == interface), None)

    def lan_devices(self) -> tuple[tuple[str, str], ...]:
        """Hardware port and device of the other networks; a MacBook has no Ethernet and Wi-Fi on en0."""
        if any(port.interface == "en1" for port in self.state.ports):
            return (("Wi-Fi", "en0"),)
        return (("Ethernet", "en0"), ("Wi-Fi", "en1"))

    def link(self, port: ThunderboltPort) -> Link | None:
        """The live cable in this port, if there is one and the Mac at its other end runs."""
        here = Plug(mac=self.state.name, receptacle=port.receptacle)
        for cable in load_cables(self.dir.lab.cables):
            there = cable.other_end(here) if cable.is_in else None
            peer = self._peer(there.mac) if there else None
            if there and peer and peer.power in (Power.ON, Power.ASLEEP):
                return self._link(cable, there, peer)
        return None

    def _link(self, cable: Cable, there: Plug, peer: State) -> Link | None:
        peer_port = next((port for port in peer.ports if port.receptacle == there.receptacle), None)
        peer_hardware = hardware.find(peer.hardware)
        if peer_port is None or peer_hardware is None:
            return None
        generation = min(self.hardware.thunderbolt_generation, peer_hardware.thunderbolt_generation)
        speed_gb_s = min(cable.speed_gb_s, 80 if generation >= 5 and not cable.has_dock else 40)
        return Link(peer, peer_hardware, peer_port, speed_gb_s, cable.has_dock)

    def _peer(self, name: str) -> State | None:
        """The neighbour's state.json, read again only when it was written again."""
        path = self.dir.lab.mac(name).state
        try:
            written = path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if path not in self._peers or self._peers[path][0] != written:
            self._peers[path] = (written, load_state(path))
        return self._peers[path][1]


@dataclass(frozen=True)
class Link:
    """A cable that has trained, seen from one end."""

    peer: State
    peer_hardware: Hardware
    peer_port: ThunderboltPort
    speed_gb_s: int
    has_dock: bool = False

    def carries_rdma(self, here: State) -> bool:
        """Both on, at full speed, and of one build: with two, exo's users say, ports do not find each other."""
        same = here.macos_build == self.peer.macos_build
        return same and here.has_rdma and self.peer.has_rdma and self.peer.power is Power.ON and self.speed_gb_s >= 80


Program = Callable[[World, Call], Reply | Awaitable[Reply]]
