"""`lab up`: make the Macs, start them, wait until all of them answer."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from macfleet.core.errors import RequestError
from macfleet.core.near import did_you_mean
from macfleet.inventory import hardware as catalog
from macfleet.inventory.hardware import Hardware
from macfleet.lab.cables import cabling
from macfleet.lab.down import down, is_simulator
from macfleet.lab.inventory_text import render_inventory, render_known_hosts
from macfleet.lab.make import make_fleet
from macfleet.lab.network import ADDRESS, hold
from macfleet.lab.paths import LabDir, MacDir
from macfleet.lab.programs import install_programs
from macfleet.lab.remote import LabError
from macfleet.lab.state import Power, State, load_state, save_state

DEFAULT_HARDWARE = "mac-studio-m3-ultra"
START_S = 60.0
MOST_MACS = 32
# A UNIX socket's path may have 104 bytes on macOS.
LONGEST_SOCKET = 100


@dataclass(frozen=True)
class Up:
    """`was_up`: the fleet already stood and was left alone. `was_made`: it is new; otherwise its Macs were only started."""

    lab: LabDir
    macs: tuple[str, ...]
    was_up: bool
    was_made: bool

    @property
    def inventory(self) -> Path:
        return self.lab.inventory


def up(directory: Path, macs: int = 4, hardware: str = DEFAULT_HARDWARE, *, memory_gib: Sequence[int] = (), as_shipped: bool = False) -> Up:
    """A running rehearsal fleet in `directory`, with its inventory, keys and known_hosts.

    `memory_gib` is that of each Mac, the last one's for those behind it; the most that the hardware comes with where none is named.
    A fleet that is there already keeps its Macs and their disks; asking it for other Macs is a RequestError.
    """
    lab = LabDir(directory.absolute())
    kind = _hardware(hardware)
    made = not lab.macs()
    if made:
        make_fleet(lab, kind, _names(kind, macs), _memories(kind, macs, memory_gib), as_shipped)
    else:
        _must_agree(lab, kind, macs)
    stopped = [mac for mac in lab.macs() if not is_simulator(load_state(mac.state).simulator_pid, mac)]
    if stopped:
        for mac in stopped:
            _refuse_taken_port(mac)
        _start(lab, stopped)
        _write_inventory(lab, kind, is_pinned=not as_shipped)
    return Up(lab, tuple(mac.name for mac in lab.macs()), was_up=not stopped, was_made=made)


def _hardware(name: str) -> Hardware:
    found = catalog.find(name)
    if found is None:
        raise RequestError(f'"{name}" is no Mac that macfleet knows', hint=did_you_mean(name, catalog.names()))
    return found


def _names(kind: Hardware, count: int) -> list[str]:
    if not 1 <= count <= MOST_MACS:
        raise RequestError(f"a rehearsal fleet has 1 to {MOST_MACS} Macs, not {count}")
    family = next((word for word in ("studio", "mini", "macbook") if word in kind.alias), "mac")
    return [f"{family}-{number}" for number in range(1, count + 1)]


def _memories(kind: Hardware, macs: int, memory_gib: Sequence[int]) -> list[int]:
    if len(memory_gib) > macs:
        raise RequestError(f"memory is named for {len(memory_gib)} Macs, but there shall be {macs}")
    wrong = [size for size in memory_gib if not kind.comes_with(size)]
    if wrong:
        sold = ", ".join(map(str, kind.memory_gib))
        raise RequestError(f"no {kind.name} comes with {wrong[0]} GiB of memory", hint=f"it comes with {sold} GiB")
    named = list(memory_gib) or [max(kind.memory_gib, default=16)]
    return named + named[-1:] * (macs - len(named))


def _must_agree(lab: LabDir, kind: Hardware, macs: int) -> None:
    there = [load_state(mac.state) for mac in lab.macs()]
    if len(there) != macs or there[0].hardware != kind.id:
        raise RequestError(
            f"{lab.path} already holds a rehearsal fleet of {len(there)} {there[0].hardware}",
            hint=f"`macfleet lab down --delete --dir {lab.path}` first, or name another --dir",
        )


def _refuse_taken_port(mac: MacDir) -> None:
    """The inventory, known_hosts and perhaps somebody's notes name the port, so the Mac does not take another one by itself."""
    port = load_state(mac.state).ssh_port
    try:
        hold(port).close()
    except OSError as error:
        raise LabError(
            f"{mac.name} cannot start: its port {port} is used by another program ({error.strerror})",
            mac=mac.name,
            truths=("no Mac was started; their disks are as they were",),
            hint=f"end that program (`lsof -nP -iTCP:{port}` names it), or make a new fleet: `macfleet lab down --delete"
            f" --dir {mac.lab.path}`, then `macfleet lab up`",
        ) from error


def _start(lab: LabDir, macs: Sequence[MacDir]) -> None:
    """Start the Macs' processes, detached from this one. If one does not come up, none is left behind."""
    sockets = _socket_directory(max(len(mac.name) for mac in macs))
    pids = {mac: _start_one(mac, sockets) for mac in macs}
    try:
        for mac, pid in pids.items():
            _wait_for(mac, pid)
    except BaseException:
        down(lab.path)
        raise


def _start_one(mac: MacDir, sockets: str) -> int:
    """The number of the new process. It outlives this one, so nobody holds on to it."""
    state = load_state(mac.state)
    state.socket = f"{sockets}/{mac.name}"
    state.power = Power.OFF
    save_state(state, mac.state)
    install_programs(mac, state.socket, state.user)
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(mac.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inherited()),
    ]
    return os.posix_spawn(sys.executable, [sys.executable, "-P", "-m", "macfleet.lab.mac", str(mac.path)], os.environ, file_actions=files)


def _inherited() -> list[int]:
    """What the new process would get from us beside the usual three, and keep open for the whole rehearsal.

    Seen with `flock FILE macfleet lab up`: the lock was held until `lab down`.
    """
    is_open = (int(name) for name in os.listdir("/dev/fd"))
    return [descriptor for descriptor in is_open if descriptor > 2 and _is_inherited(descriptor)]


def _is_inherited(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:  # that of the listing itself, closed by now
        return False


def _wait_for(mac: MacDir, pid: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise LabError(f"the process of {mac.name} ended at once", mac=mac.name, truths=_last_lines(mac.log))
        state = load_state(mac.state)
        if state.simulator_pid == pid and state.power is not Power.OFF and _greets(state):
            return
        time.sleep(0.02)
    raise LabError(f"{mac.name} did not answer within {START_S:.0f} s", mac=mac.name, truths=_last_lines(mac.log))


def _greets(state: State) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((ADDRESS, state.ssh_port), timeout=5) as line:
        return line.recv(4) == b"SSH-"
    return False


def _last_lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").strip().splitlines()[-3:]


def _socket_directory(longest_name: int) -> str:
    """Short, and out of the rehearsal's directory, whose path may be long."""
    usual = tempfile.gettempdir()
    room = LONGEST_SOCKET - longest_name - len("/macfleet-12345678/")
    return tempfile.mkdtemp(prefix="macfleet-", dir=usual if len(usual) <= room else "/tmp")


def _write_inventory(lab: LabDir, kind: Hardware, *, is_pinned: bool) -> None:
    """Each written once: the operator may have added services, and pinned other keys. Nobody has pinned the keys of Macs as shipped."""
    states = [load_state(mac.state) for mac in lab.macs()]
    if is_pinned and not lab.known_hosts.exists():
        lab.known_hosts.write_text(render_known_hosts(lab, states))
    if not lab.inventory.exists():
        topology = cabling(kind, [state.name for state in states])[0]
        lab.inventory.write_text(render_inventory(lab, states, kind, topology))
