"""Macs on loopback: OpenSSH servers whose macOS programs say what a simulated, provisioned Mac has said to the same questions."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from macfleet.core.command import Command
from macfleet.core.result import Result
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.load import load_inventory
from macfleet.inventory.mac import Inventory
from macfleet.inventory.settings import Interconnect, Topology
from macfleet.lab.down import down
from macfleet.lab.up import up
from macfleet.playbook.tasks import Playbook
from macfleet.serving.materials import Materials, read_materials, read_playbook
from macfleet.serving.provision import Provisioning
from macfleet.serving.verify import verify
from tests.fleet.sshd import Sshd, inventory_of

SYSTEM_PATH = "/usr/bin:/bin"

# Programs that do here what they do on a Mac.
SUDO = '[ "$1" = -n ] && shift; exec "$@"'
SHASUM = 'shift 2; exec sha256sum "$@"'

Run = Callable[[Fleet, Materials, Playbook], None]


@dataclass(frozen=True)
class Recording:
    """What the provisioned Mac `name` was asked by each kind of run, and answered."""

    name: str
    root: str
    emulated: frozenset[str]
    answers: dict[str, dict[Command, Result]]

    def commands(self, run: str) -> list[Command]:
        return list(self.answers[run])

    def programs(self) -> dict[str, dict[tuple[str, ...], Result]]:
        """Program → arguments → answer, of those programs that this machine does not have itself."""
        found: dict[str, dict[tuple[str, ...], Result]] = {}
        for answers in self.answers.values():
            for command, result in answers.items():
                name = command.argv[0]
                if name in self.emulated or shutil.which(name, path=SYSTEM_PATH) is None:
                    found.setdefault(name, {})[command.argv[1:]] = result
        return found


class Recorder:
    """An observer that keeps every answer, in the order in which they came."""

    def __init__(self) -> None:
        self.answers: dict[Command, Result] = {}

    def started(self, mac: str, doing: str) -> None: ...
    def finished(self, mac: str, outcome: object) -> None: ...
    def result(self, mac: str, result: Result) -> None:
        self.answers[result.command] = result


def whole_playbook() -> Playbook:
    """macfleet's own, but for the runtime: that is gigabytes from a package index, and its facts are a handful of reads like others."""
    playbook = read_playbook()
    return replace(playbook, tasks=tuple(task for task in playbook.tasks if "runtime" not in task.tags))


def run_verify(fleet: Fleet, materials: Materials, playbook: Playbook) -> None:
    verification = verify(fleet)
    assert not any(mac.outcome == "unreachable" for mac in verification.macs), verification.as_json()


def run_provision(fleet: Fleet, materials: Materials, playbook: Playbook) -> None:
    plans = Provisioning(fleet, playbook, materials).plan()
    assert plans.ok, plans.errors()
    differing = [plan for plan in plans.values().values() if not plan.is_as_wanted]
    assert not differing, differing[0]


RUNS: dict[str, Run] = {"verify": run_verify, "provision, no change": run_provision}


def record(directory: Path, playbook: Playbook) -> tuple[Inventory, Recording]:
    """What one simulated Mac answers that agrees with the playbook. It is gone at the end; its files stay, for `cat` and `ls`."""
    lab = up(directory, macs=1)
    try:
        inventory = without_cables(load_inventory(lab.inventory))
        materials = read_materials(inventory)
        with Fleet(inventory, inventory.macs) as fleet:
            provisioning = Provisioning(fleet, playbook, materials)
            for outcome in provisioning.apply(provisioning.plan()):
                if outcome.error or outcome.value.error:
                    raise outcome.error or outcome.value.error
        answers = {name: recorded(inventory, run, materials, playbook) for name, run in RUNS.items()}
    finally:
        down(directory)
    mac = inventory.macs[0]
    programs = frozenset(path.name for path in (directory / "macs" / mac.name / "bin").iterdir())
    return inventory, Recording(mac.name, mac.root, programs, answers)


def without_cables(inventory: Inventory) -> Inventory:
    """One Mac's answers are every Mac's here, and cables have two different ends."""
    none = Interconnect(topology=Topology.NONE)
    return replace(
        inventory, macs=tuple(replace(mac, settings=mac.settings.model_copy(update={"interconnect": none})) for mac in inventory.macs)
    )


def recorded(inventory: Inventory, run: Run, materials: Materials, playbook: Playbook) -> dict[Command, Result]:
    recorder = Recorder()
    with Fleet(inventory, inventory.macs, observer=recorder) as fleet:
        run(fleet, materials, playbook)
    return recorder.answers


def install(server: Sshd, recording: Recording) -> None:
    """Each macOS program as a script that knows its recorded answers, under this Mac's name; `sudo` just runs what it is given."""

    def own(text: str) -> str:  # but its files stay where the simulated Mac has left them
        return recording.root.join(part.replace(recording.name, server.name) for part in text.split(recording.root))

    for name, answers in recording.programs().items():
        cases = [
            f"{quoted(own(' '.join(arguments)))}) {says(own(result.stdout), 1)}{says(own(result.stderr), 2)}exit {result.exit_status} ;;"
            for arguments, result in answers.items()
        ]
        server.program(name.lstrip("/"), "\n".join(['case "$*" in', *cases, "esac", f'echo "{name}: not recorded: $*" >&2', "exit 70"]))
    server.program("sudo", SUDO)
    server.program("shasum", SHASUM)


def says(text: str, descriptor: int) -> str:
    return f"printf %s {quoted(text)} >&{descriptor}; " if text else ""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def fleet_of(servers: Sequence[Sshd], base: Inventory, recording: Recording) -> Inventory:
    """The recorded Mac, as many times as there are servers."""
    inventory = inventory_of(*servers)
    like = base.macs[0]
    macs = tuple(
        replace(like, name=mac.name, address=mac.address, port=mac.port, user=mac.user, root=recording.root) for mac in inventory.macs
    )
    return replace(base, path=inventory.path, macs=macs, ssh=inventory.ssh, services=())


@contextlib.contextmanager
def servers_on_loopback(directory: Path, count: int, recording: Recording | None = None) -> Iterator[list[Sshd]]:
    """So many Macs; the first one's user key is everybody's, and each keeps its own pinned host key beside it."""
    servers: list[Sshd] = []
    try:
        for number in range(1, count + 1):
            name = f"mac-{number:03}"
            server = Sshd(directory / name, name=name, user_key=servers[0].user_key if servers else None)
            servers.append(server)
            server.start()
            if recording is not None:
                install(server, recording)
            (server.directory / "own_known_hosts").write_text(server.known_hosts.read_text())
        yield servers
    finally:
        for server in servers:
            server.stop()


def cpu_s(servers: Sequence[Sshd]) -> float | None:
    """CPU seconds of these servers and of all that they have started and that has ended; None where there is no /proc."""
    if not Path("/proc/self/stat").exists():
        return None
    ticks = 0
    for server in servers:
        fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")
