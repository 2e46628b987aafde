"""What talking to many Macs costs: macfleet's verify and no-change provision against bare paramiko, side by side in one run.

    python benchmarks/fleet.py [--macs 4 16] [--rounds 5] [--seconds 120] [--json]

Every Mac is an OpenSSH server on loopback with its own host key and home. Its macOS programs print what a simulated Mac,
provisioned a moment before, answered to the very same questions. The floor opens the same connections (TCP_NODELAY, strict
host keys, a thread for each) and runs the same commands as one plain script: no deadlines, no separate stderr, no exit
statuses kept, no understanding of what comes back. Both share this machine's cores with all the servers, so that the
ratio carries over to other machines and the seconds do not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import paramiko

from macfleet.core.command import Command
from macfleet.core.result import Result
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.load import load_inventory
from macfleet.inventory.mac import Inventory
from macfleet.inventory.settings import Interconnect, Topology
from macfleet.lab.down import down
from macfleet.lab.up import up
from macfleet.playbook.load import Playbook
from macfleet.serving.materials import Materials, read_materials, read_playbook
from macfleet.serving.provision import Provisioning
from macfleet.serving.verify import verify
from tests.fleet.sshd import Sshd, inventory_of

SYSTEM_PATH = "/usr/bin:/bin"


@dataclass(frozen=True)
class Figures:
    """One kind of run at one number of Macs; seconds are medians over the rounds."""

    run: str
    macs: int
    commands: int
    wall_s: float
    floor_wall_s: float
    wall_ratio: float
    cpu_s: float
    floor_cpu_s: float
    channels_per_mac: float
    connections_per_mac: float


@dataclass(frozen=True)
class Marginal:
    """CPU of the controller for each Mac more."""

    run: str
    cpu_per_added_mac_ms: float
    floor_cpu_per_added_mac_ms: float


@dataclass(frozen=True)
class Recording:
    """What a provisioned Mac was asked by each kind of run, and answered."""

    root: str
    emulated: frozenset[str]
    answers: dict[str, dict[Command, Result]]

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
    """An observer that keeps every answer."""

    def __init__(self) -> None:
        self.answers: dict[Command, Result] = {}

    def started(self, mac: str, doing: str) -> None: ...
    def finished(self, mac: str, outcome: object) -> None: ...
    def result(self, mac: str, result: Result) -> None:
        self.answers[result.command] = result


def record(directory: Path, playbook: Playbook) -> tuple[Inventory, Recording]:
    """What one simulated Mac answers that agrees with the playbook. It is gone at the end; its files stay, for `cat` and `ls`."""
    lab = up(directory, macs=1)
    try:
        inventory = without_cables(load_inventory(lab.inventory))
        materials = read_materials(inventory)
        with Fleet(inventory, inventory.macs) as fleet:
            provisioning = Provisioning(fleet, playbook, materials)
            results = provisioning.apply(provisioning.plan())
            for outcome in results:
                if outcome.error or outcome.value.error:
                    raise outcome.error or outcome.value.error
        answers = {name: recorded(inventory, run, materials, playbook) for name, run in RUNS.items()}
    finally:
        down(directory)
    programs = frozenset(path.name for path in (directory / "macs" / inventory.macs[0].name / "bin").iterdir())
    return inventory, Recording(inventory.macs[0].root, programs, answers)


def without_cables(inventory: Inventory) -> Inventory:
    """One Mac's answers are every Mac's here, and cables have two different ends."""
    macs = tuple(
        replace(mac, settings=mac.settings.model_copy(update={"interconnect": Interconnect(topology=Topology.NONE)}))
        for mac in inventory.macs
    )
    return replace(inventory, macs=macs)


def recorded(inventory: Inventory, run: Run, materials: Materials, playbook: Playbook) -> dict[Command, Result]:
    recorder = Recorder()
    with Fleet(inventory, inventory.macs, observer=recorder) as fleet:
        run(fleet, materials, playbook)
    return recorder.answers


Run = Callable[[Fleet, Materials, Playbook], None]


def run_verify(fleet: Fleet, materials: Materials, playbook: Playbook) -> None:
    verification = verify(fleet)
    assert not any(mac.outcome == "unreachable" for mac in verification.macs), verification.as_json()


def run_provision(fleet: Fleet, materials: Materials, playbook: Playbook) -> None:
    plans = Provisioning(fleet, playbook, materials).plan()
    assert plans.ok, plans.errors()
    assert all(plan.is_as_wanted for plan in plans.values().values()), plans


RUNS: dict[str, Run] = {"verify": run_verify, "provision, no change": run_provision}


def install(server: Sshd, programs: dict[str, dict[tuple[str, ...], Result]]) -> None:
    """Each macOS program as a script that knows its recorded answers; `sudo` just runs what it is given."""
    for name, answers in programs.items():
        cases = [
            f"{quoted(' '.join(arguments))}) {says(result.stdout, 1)}{says(result.stderr, 2)}exit {result.exit_status} ;;"
            for arguments, result in answers.items()
        ]
        server.program(name, "\n".join(['case "$*" in', *cases, "esac", f'echo "{name}: not recorded: $*" >&2', "exit 70"]))
    server.program("sudo", 'shift; exec "$@"')


def says(text: str, descriptor: int) -> str:
    return f"printf %s {quoted(text)} >&{descriptor}; " if text else ""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def floor(inventory: Inventory, servers: Sequence[Sshd], commands: Sequence[Command], key: paramiko.PKey) -> None:
    """The same commands by nothing but paramiko."""
    script = "\n".join(f"{command.shell()} </dev/null 2>&1; echo '== '$?" for command in commands)
    extension = ":".join(inventory.macs[0].paths.search_path)
    exec_request = "exec /bin/sh -c " + quoted(f'PATH="$PATH:{extension}"; export PATH; {script}')
    failures: list[BaseException] = []

    def one(server: Sshd) -> None:
        try:
            floor_of_one(server, exec_request, len(commands), key)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def floor_of_one(server: Sshd, exec_request: str, count: int, key: paramiko.PKey) -> None:
    client = paramiko.SSHClient()
    client.load_host_keys(str(server.directory / "own_known_hosts"))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())

    def transport(sock: object, **options: object) -> paramiko.Transport:
        sock.setsockopt(6, 1, 1)  # TCP_NODELAY
        return paramiko.Transport(sock, **options)

    mac = server.mac
    client.connect(mac.address, mac.port, mac.user, pkey=key, allow_agent=False, look_for_keys=False, transport_factory=transport)
    _, stdout, _ = client.exec_command(exec_request)
    answered = stdout.read().count(b"== ")
    client.get_transport().sock.shutdown(2)  # or its thread ends up to 100 ms later
    client.close()
    assert answered >= count, f"the floor got {answered} of {count} answers"


def measure(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of this process; the servers are other processes."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - cpu


def compare(
    name: str, servers: Sequence[Sshd], base: Inventory, recording: Recording, playbook: Playbook, rounds: int, deadline: float
) -> Figures:
    inventory = fleet_of(servers, base, recording)
    materials = read_materials(inventory)
    key = paramiko.PKey.from_path(servers[0].user_key)
    commands = list(recording.answers[name])
    product: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    channels: list[int] = []

    def run() -> None:
        with Fleet(inventory, inventory.macs) as fleet:
            RUNS[name](fleet, materials, playbook)
            channels.append(sum(fleet.connection(mac).channels_opened for mac in inventory.macs))

    connections = sum(server.connections() for server in servers)
    run()  # warm: imports, caches, the servers' pages
    wait_for_logs = time.monotonic() + 5
    while sum(server.connections() for server in servers) - connections < len(servers) and time.monotonic() < wait_for_logs:
        time.sleep(0.05)
    connections = sum(server.connections() for server in servers) - connections
    floor(inventory, servers, commands, key)
    for _ in range(rounds):
        product.append(measure(run))
        bare.append(measure(lambda: floor(inventory, servers, commands, key)))
        if time.monotonic() > deadline:
            break
    wall, cpu = (statistics.median(column) for column in zip(*product, strict=True))
    floor_wall, floor_cpu = (statistics.median(column) for column in zip(*bare, strict=True))
    return Figures(
        run=name,
        macs=len(servers),
        commands=len(commands),
        wall_s=round(wall, 4),
        floor_wall_s=round(floor_wall, 4),
        wall_ratio=round(wall / floor_wall, 2),
        cpu_s=round(cpu, 4),
        floor_cpu_s=round(floor_cpu, 4),
        channels_per_mac=max(channels) / len(servers),
        connections_per_mac=connections / len(servers),
    )


def fleet_of(servers: Sequence[Sshd], base: Inventory, recording: Recording) -> Inventory:
    """The recorded Mac, as many times as there are servers."""
    inventory = inventory_of(*servers)
    like = base.macs[0]
    macs = tuple(
        replace(like, name=mac.name, address=mac.address, port=mac.port, user=mac.user, root=recording.root) for mac in inventory.macs
    )
    return replace(base, path=inventory.path, macs=macs, ssh=inventory.ssh, services=())


@contextlib.contextmanager
def servers_on_loopback(directory: Path, count: int, recording: Recording) -> Iterator[list[Sshd]]:
    servers: list[Sshd] = []
    programs = recording.programs()
    try:
        for number in range(1, count + 1):
            key = servers[0].user_key if servers else None
            server = Sshd(directory / f"mac-{number:02}", name=f"mac-{number:02}", user_key=key)
            servers.append(server)
            server.start()
            install(server, programs)
            (server.directory / "own_known_hosts").write_text(server.known_hosts.read_text())
        yield servers
    finally:
        for server in servers:
            server.stop()


def marginals(figures: Sequence[Figures]) -> list[Marginal]:
    found = []
    for name in RUNS:
        few, *_, many = sorted((each for each in figures if each.run == name), key=lambda each: each.macs)
        more = many.macs - few.macs
        found.append(
            Marginal(name, round((many.cpu_s - few.cpu_s) / more * 1000, 2), round((many.floor_cpu_s - few.floor_cpu_s) / more * 1000, 2))
        )
    return found


def show(figures: Sequence[Figures], added: Sequence[Marginal]) -> None:
    head = (
        f"{'run':22} {'Macs':>4} {'commands':>8} {'wall':>8} {'floor':>8} {'ratio':>6} {'CPU':>8} {'floor':>8} {'channels':>8} {'lines':>5}"
    )
    print(head)
    for each in figures:
        print(
            f"{each.run:22} {each.macs:4} {each.commands:8} {each.wall_s:6.3f} s {each.floor_wall_s:6.3f} s {each.wall_ratio:6.2f} "
            f"{each.cpu_s:6.3f} s {each.floor_cpu_s:6.3f} s {each.channels_per_mac:8.2f} {each.connections_per_mac:5.2f}"
        )
    for each in added:
        print(f"{each.run}: {each.cpu_per_added_mac_ms} ms of CPU for each Mac more; the floor {each.floor_cpu_per_added_mac_ms} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--macs", type=int, nargs=2, default=(4, 16), metavar=("FEW", "MANY"))
    parser.add_argument("--rounds", type=int, default=5, help="at most so many runs of each kind")
    parser.add_argument("--seconds", type=float, default=120.0, help="start no further round after this time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    few, many = options.macs
    if not 0 < few < many:
        parser.error("--macs wants two numbers, the smaller one first")
    deadline = time.monotonic() + options.seconds
    whole = read_playbook()
    # The runtime is gigabytes from a package index; its facts are a handful of reads like the others.
    playbook = Playbook(whole.name, tuple(task for task in whole.tasks if "runtime" not in task.tags))
    figures: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="macfleet-bench-") as name:
        directory = Path(name)
        base, recording = record(directory / "lab", playbook)
        with servers_on_loopback(directory, many, recording) as servers:
            for count in (few, many):
                figures += [compare(run, servers[:count], base, recording, playbook, options.rounds, deadline) for run in RUNS]
    added = marginals(figures)
    if options.json:
        document = {
            "schema": 1,
            "cores": os.cpu_count(),
            "runs": [asdict(each) for each in figures],
            "added_mac": [asdict(each) for each in added],
        }
        print(json.dumps(document, indent=2))
    else:
        show(figures, added)


if __name__ == "__main__":
    main()
