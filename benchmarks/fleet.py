"""What talking to many Macs costs, each figure beside the one it is measured against in the same run.

    python benchmarks/fleet.py [--macs 1 4 16 64] [--only SECTION ...] [--peers 64] [--many 256] [--json]

Every Mac is an OpenSSH server on loopback with its own host key and home. Its macOS programs print what a simulated Mac,
provisioned a moment before, answered to the very same questions. All share this machine's cores, so that ratios carry over to
other machines and seconds do not: on a desk each Mac brings its own.

Sections:
  no-change  verify and a provision that changes nothing, beside bare paramiko (one plain script, no deadlines, no understanding)
  peers      some of the same questions, beside Ansible and pyinfra with their best settings; with --peers, at these numbers
  first      a provision of --changes changes, beside bare paramiko that knows beforehand what is missing; round trips are counted
  many       verify of --many Macs, one of which takes the connection and never answers
  distance   a round trip of 50 ms: how many of them each phase pays, with few questions and with many
  file       5 MB to every Mac, and the peak of the controller's memory
  start      the first sign of life, beside `python -c "import typer, rich"`
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import paramiko

from benchmarks.loopback import first, peers
from benchmarks.loopback.floor import floor, send_file
from benchmarks.loopback.ground import RUNS, Recording, cpu_s, fleet_of, record, servers_on_loopback, whole_playbook
from benchmarks.loopback.startup import start_up
from benchmarks.loopback.wire import silent_port, slow_wire
from macfleet.core.command import Command
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Inventory
from macfleet.playbook.tasks import Playbook
from macfleet.serving.materials import read_materials
from macfleet.serving.verify import verify
from tests.fleet.sshd import Sshd

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = ("no-change", "first", "many", "distance", "file", "start", "peers")
ROUND_TRIP_S = 0.05
FILE_BYTES = 5_000_000


@dataclass(frozen=True)
class Figures:
    """One kind of run at one number of Macs; seconds are medians over the rounds, taken in turns with the floor's."""

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
    macs_cpu_s: float | None
    floor_macs_cpu_s: float | None


@dataclass(frozen=True)
class Ratio:
    """One line of the answer: a figure and what it should be."""

    what: str
    figure: float
    unit: str
    wanted: str
    is_good: bool
    more: str = ""


@dataclass
class Benchmark:
    """One run of this program."""

    options: argparse.Namespace
    directory: Path
    base: Inventory
    recording: Recording
    playbook: Playbook
    servers: list[Sshd]
    deadline: float
    figures: list[Figures] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)

    @property
    def key(self) -> paramiko.PKey:
        return paramiko.PKey.from_path(self.servers[0].user_key)

    @property
    def search_path(self) -> tuple[str, ...]:
        return fleet_of(self.servers[:1], self.base, self.recording).macs[0].paths.search_path

    def say(self, ratio: Ratio) -> None:
        self.ratios.append(ratio)
        if not self.options.json:
            verdict = "yes" if ratio.is_good else "NO"
            print(f"{ratio.what:58} {ratio.figure:9.2f} {ratio.unit:10} {ratio.wanted:8} {verdict:3}  {ratio.more}", flush=True)

    def at_most(self, what: str, figure: float, limit: float, unit: str, more: str = "") -> None:
        self.say(Ratio(what, round(figure, 3), unit, f"<= {limit:g}", figure <= limit, more))

    def at_least(self, what: str, figure: float, limit: float, unit: str, more: str = "") -> None:
        self.say(Ratio(what, round(figure, 3), unit, f">= {limit:g}", figure >= limit, more))

    def in_turns(self, ours: Callable[[], None], theirs: Callable[[], None]) -> tuple[float, float, float, float]:
        """Median wall and CPU seconds of ours, then of theirs, after a first time of each that is not counted."""
        measured: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        ours(), theirs()
        for _ in range(self.options.rounds):
            for times, work in zip(measured, (ours, theirs), strict=True):
                times.append(measure(work))
            if time.monotonic() > self.deadline:
                break
        (wall, cpu), (their_wall, their_cpu) = ([statistics.median(column) for column in zip(*times, strict=True)] for times in measured)
        return wall, cpu, their_wall, their_cpu


def measure(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of this process; the servers are other processes."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - cpu


def no_change(bench: Benchmark) -> None:
    """verify and a provision without a change, at every number of Macs."""
    if not bench.options.json:
        print(f"{'run':22} Macs commands     wall    floor  ratio      CPU    floor channels lines")
    for count in bench.options.macs:
        for name in RUNS:
            each = compare(bench, name, bench.servers[:count])
            bench.figures.append(each)
            if not bench.options.json:
                print(
                    f"{each.run:22} {each.macs:4} {each.commands:8} {each.wall_s:6.3f} s {each.floor_wall_s:6.3f} s {each.wall_ratio:6.2f} "
                    f"{each.cpu_s:6.3f} s {each.floor_cpu_s:6.3f} s {each.channels_per_mac:8.2f} {each.connections_per_mac:5.2f}",
                    flush=True,
                )
    for name in RUNS:
        few, *_, many = sorted((each for each in bench.figures if each.run == name), key=lambda each: each.macs)
        bench.at_most(f"{name}: connections per Mac", many.connections_per_mac, 1, "")
        bench.at_most(f"{name}: channels per Mac", many.channels_per_mac, 2, "")
        bench.at_most(f"{name}: wall at {many.macs} Macs", many.wall_ratio, 1.5, "x floor")
        if many.macs_cpu_s is not None and many.floor_macs_cpu_s:
            total, floor_total = many.macs_cpu_s + many.cpu_s, many.floor_macs_cpu_s + many.floor_cpu_s
            more = (
                f"{total / many.macs * 1000:.0f} ms and {floor_total / many.macs * 1000:.0f} ms for each Mac, its own and the controller's"
            )
            bench.say(Ratio(f"{name}: CPU at {many.macs} Macs, all together", round(total / floor_total, 2), "x floor", "", True, more))
        added = (many.cpu_s - few.cpu_s) / (many.macs - few.macs) * 1000
        their_added = (many.floor_cpu_s - few.floor_cpu_s) / (many.macs - few.macs) * 1000
        bench.at_most(f"{name}: controller CPU per added Mac", added, 15, "ms", f"the floor {their_added:.1f} ms")


def compare(bench: Benchmark, name: str, servers: Sequence[Sshd]) -> Figures:
    inventory = fleet_of(servers, bench.base, bench.recording)
    materials, commands, channels = read_materials(inventory), bench.recording.commands(name), list[int]()

    def ours() -> None:
        with Fleet(inventory, inventory.macs) as fleet:
            RUNS[name](fleet, materials, bench.playbook)
            channels.append(sum(fleet.connection(mac).channels_opened for mac in inventory.macs))

    connections = connections_of(servers, ours)

    def theirs() -> None:
        floor(servers, lambda server: [commands], bench.search_path, bench.key)

    wall, cpu, floor_wall, floor_cpu = bench.in_turns(ours, theirs)
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
        macs_cpu_s=macs_cpu_s(servers, ours),
        floor_macs_cpu_s=macs_cpu_s(servers, theirs),
    )


def macs_cpu_s(servers: Sequence[Sshd], work: Callable[[], None]) -> float | None:
    """What this work costs the Macs, all together: all share this machine's cores, so this is most of what the wall shows."""
    before = cpu_s(servers)
    work()
    time.sleep(1.5)  # a process is counted when it has ended
    after = cpu_s(servers)
    return None if before is None or after is None else after - before


def connections_of(servers: Sequence[Sshd], work: Callable[[], None]) -> int:
    """How many connections this work opens, by the servers' own logs, which come a moment late."""
    before = sum(server.connections() for server in servers)
    work()
    end = time.monotonic() + 5
    while (found := sum(server.connections() for server in servers) - before) < len(servers) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def beside_peers(bench: Benchmark) -> None:
    """The first questions of a provision, asked of every Mac by everybody."""
    if not bench.options.peers:
        return
    bin_dir = peers.install_peers(bench.options.peers_in)
    commands = bench.recording.commands("provision, no change")[: bench.options.peer_questions]
    for count in bench.options.peers:
        servers = bench.servers[:count]
        inventory = fleet_of(servers, bench.base, bench.recording)
        times = [measure(lambda inventory=inventory: ask(inventory, commands)) for _ in range(5)]
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        for name in peers.NAMES:
            cost = peers.ask_by(name, bin_dir, servers, commands, bench.search_path)
            what = f"{name}: wall for {len(commands)} questions, {count} Macs"
            more = f"{cost.wall_s:.1f} s and {cost.cpu_s:.1f} s of CPU; macfleet {wall:.2f} s and {cpu:.2f} s"
            if name == "ansible" and count >= 64:
                bench.at_least(what, cost.wall_s / wall, 40, "x macfleet", more)
            else:
                bench.say(Ratio(what, round(cost.wall_s / wall, 1), "x macfleet", "", True, more))
    bench.say(Ratio(f"peers: {peers.versions(bin_dir)}", 0, "", "", True))


def ask(inventory: Inventory, commands: Sequence[Command]) -> None:
    with Fleet(inventory, inventory.macs) as fleet:
        report = fleet.each(lambda mac, line: line.read(commands))
    assert report.ok, report.errors()


def first_provision(bench: Benchmark) -> None:
    """From nothing to everything as wanted."""
    changes, count = bench.options.changes, min(max(bench.options.macs), 16)
    with servers_on_loopback(bench.directory / "first", count) as servers:
        first.as_shipped(servers)
        inventory, playbook = first.fleet_as_shipped(servers, bench.base), first.playbook_of(changes)
        materials = read_materials(inventory)
        phases = first.floor_phases(inventory, playbook, materials)
        trips: list[float] = []

        def ours() -> None:
            first.forget(servers)
            trips.append(first.provision_first(inventory, playbook, materials, changes))

        def theirs() -> None:
            first.forget(servers)
            floor(
                servers,
                lambda server: phases[server.name],
                inventory.macs[0].paths.search_path,
                paramiko.PKey.from_path(servers[0].user_key),
            )

        wall, cpu, floor_wall, floor_cpu = bench.in_turns(ours, theirs)
    bench.at_most(f"first provision, {changes} changes: round trips per Mac", max(trips), 2 + changes, "")
    more = f"{wall:.2f} s, the floor {floor_wall:.2f} s; CPU {cpu:.2f} s, the floor {floor_cpu:.2f} s"
    bench.at_most(f"first provision, {changes} changes, {count} Macs: wall", wall / floor_wall, 2, "x floor", more)


def many_macs(bench: Benchmark) -> None:
    """Four times as many Macs, then one more that is silent."""
    many, deadline_s = bench.options.many, 10.0
    few = many // 4
    commands = bench.recording.commands("verify")
    with servers_on_loopback(bench.directory / "many", many - 1, bench.recording) as servers, silent_port() as silent:
        inventory, smaller = (fleet_of(some, bench.base, bench.recording) for some in (servers, servers[:few]))
        wall, cpu = measure(lambda: verify_all(smaller))
        all_wall, all_cpu = measure(lambda: verify_all(inventory))
        _, floor_cpu = measure(
            lambda: floor(servers, lambda server: [commands], bench.search_path, paramiko.PKey.from_path(servers[0].user_key))
        )
        line = servers[0].known_hosts.read_text().split(None, 1)[1].splitlines()[0]
        mute = replace(inventory.macs[0], name="mute", port=silent.getsockname()[1])
        with inventory.ssh.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{mute.port} {line}\n")
        whole = replace(inventory, macs=(mute, *inventory.macs), ssh=replace(inventory.ssh, connect_timeout_s=deadline_s))
        durations: list[float] = []
        whole_wall, _ = measure(lambda: durations.append(verify_all(whole, unreachable="mute")))
        files = open_files(inventory)
    more = f"{all_wall:.1f} s; {few} Macs {wall:.1f} s"
    bench.at_most(f"verify of {many - 1} Macs: wall per Mac", all_wall / (many - 1) / (wall / few), 1.3, f"x at {few}", more)
    more = f"{all_cpu:.2f} s, the floor {floor_cpu:.2f} s; {few} Macs {cpu:.2f} s"
    bench.at_most(f"verify of {many - 1} Macs: CPU", all_cpu / floor_cpu, 1.5, "x floor", more)
    more = f"the run {whole_wall:.1f} s, without the silent one {all_wall:.1f} s; {many - 1} reported in full"
    bench.at_most(f"verify of {many} Macs: the silent one was given up after", durations[0], deadline_s + 1, "s", more)
    bench.at_most(f"verify of {many - 1} Macs: open files per Mac", files, 3, "")


def verify_all(inventory: Inventory, unreachable: str = "") -> float:
    """How long the Mac that is not reached, and no other, was waited for."""
    with Fleet(inventory, inventory.macs) as fleet:
        verification = verify(fleet)
    missing = {mac.mac: mac.duration_s for mac in verification.macs if mac.outcome == "unreachable"}
    assert set(missing) == ({unreachable} - {""}), verification.as_json()["summary"]
    assert all(len(mac.findings) > 5 for mac in verification.macs if mac.mac != unreachable)
    return missing.get(unreachable, 0.0)


def open_files(inventory: Inventory) -> float:
    """How many files this process holds for each Mac, at most, while it is read."""
    before, most = len(os.listdir("/dev/fd")), [0]

    class Watcher:
        def started(self, mac: str, doing: str) -> None: ...
        def result(self, mac: str, result: object) -> None: ...
        def finished(self, mac: str, outcome: object) -> None:
            most[0] = max(most[0], len(os.listdir("/dev/fd")))

    with Fleet(inventory, inventory.macs, observer=Watcher()) as fleet:
        verify(fleet)
    return (most[0] - before) / len(inventory.macs)


def at_a_distance(bench: Benchmark) -> None:
    """Round trips that a phase pays: the same for few questions and for many."""
    commands = bench.recording.commands("provision, no change")
    few = commands[:5]
    server = bench.servers[0]
    near = fleet_of([server], bench.base, bench.recording)
    with slow_wire(server.port, ROUND_TRIP_S) as wire:
        line = server.known_hosts.read_text().split(None, 1)[1].splitlines()[0]
        known = bench.directory / "known_far"
        known.write_text(f"[127.0.0.1]:{wire.port} {line}\n")
        far = replace(near, macs=(replace(near.macs[0], port=wire.port),), ssh=replace(near.ssh, known_hosts=known))
        trips, walls = {}, {}
        for name, questions in (("none", []), ("few", few), ("many", commands)):
            before = wire.round_trips
            walls[name], _ = measure(lambda questions=questions: ask(far, questions))
            trips[name] = wire.round_trips - before
    more = f"{trips['few']} and {trips['many']} round trips, {trips['none']} to log in; {walls['few']:.2f} s and {walls['many']:.2f} s"
    bench.at_most(
        f"50 ms away: round trips for {len(commands)} questions rather than {len(few)}", trips["many"] - trips["few"], 1, "more", more
    )
    bench.at_most("50 ms away: round trips of a phase", trips["many"] - trips["none"], 3, "")


def big_file(bench: Benchmark) -> None:
    """The same five megabytes for everybody."""
    servers = bench.servers[: max(bench.options.macs)]
    inventory = fleet_of(servers, bench.base, bench.recording)
    inventory = replace(
        inventory, macs=tuple(replace(mac, root=str(server.root)) for mac, server in zip(inventory.macs, servers, strict=True))
    )
    source = bench.directory / "five-megabytes"
    source.write_bytes(os.urandom(FILE_BYTES))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.loopback.courier"],
        input=pickle.dumps((inventory, str(source), "file")),
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    said = json.loads(done.stdout)
    floor_wall, floor_cpu = measure(lambda: send_file(servers, source.read_bytes(), "floor", bench.key))
    assert all((server.root / "file").read_bytes() == source.read_bytes() for server in servers)
    peak, before = said["peak_bytes"] / 1e6, said["peak_before_bytes"] / 1e6
    bench.at_most(f"5 MB to {len(servers)} Macs: peak memory", peak, 200, "MB", f"{before:.0f} MB before the first Mac was called")
    more = f"{said['wall_s']:.2f} s, the floor {floor_wall:.2f} s; CPU {said['cpu_s']:.2f} s, the floor {floor_cpu:.2f} s"
    bench.at_most(f"5 MB to {len(servers)} Macs, checked by SHA-256: wall", said["wall_s"] / floor_wall, 2, "x floor", more)


def starting(bench: Benchmark) -> None:
    """The first sign of life."""
    times = start_up(bench.directory, max(9, bench.options.rounds))
    bare = times.pop("bare")
    for name, seconds in times.items():
        more = f"{seconds * 1000:.0f} ms, bare {bare * 1000:.0f} ms"
        if name == "verify, first call":
            bench.say(Ratio(f"start-up: {name}", round(seconds / bare, 2), "x bare", "", True, more))
        else:
            bench.at_most(f"start-up: {name}", seconds / bare, 1.5, "x bare", more)


WORK: dict[str, Callable[[Benchmark], None]] = {
    "no-change": no_change,
    "first": first_provision,
    "many": many_macs,
    "distance": at_a_distance,
    "file": big_file,
    "start": starting,
    "peers": beside_peers,
}


@contextlib.contextmanager
def benchmark(options: argparse.Namespace) -> Iterator[Benchmark]:
    with tempfile.TemporaryDirectory(prefix="macfleet-bench-") as name:
        directory, playbook = Path(name), whole_playbook()
        base, recording = record(directory / "lab", playbook)
        with servers_on_loopback(directory, max((*options.macs, *options.peers)), recording) as servers:
            yield Benchmark(options, directory, base, recording, playbook, servers, time.monotonic() + options.seconds)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--macs", type=int, nargs="+", default=[1, 4, 16, 64], help="numbers of Macs, the smallest first")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=5, help="at most so many runs of each kind")
    parser.add_argument("--seconds", type=float, default=240.0, help="start no further round after this time")
    parser.add_argument("--changes", type=int, default=8, help="how many a first provision makes")
    parser.add_argument("--many", type=int, default=256, help="how many are many")
    parser.add_argument(
        "--peers", type=int, nargs="*", default=[], metavar="MACS", help="ask beside Ansible and pyinfra too; takes minutes"
    )
    parser.add_argument("--peer-questions", type=int, default=10, help="how many questions everybody asks there")
    parser.add_argument(
        "--peers-in", type=Path, default=Path("~/.cache/macfleet-bench-peers").expanduser(), help="where they are installed"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.macs.sort()
    if len(options.macs) < 2 or options.macs[0] < 1 or options.macs[0] == options.macs[-1]:
        parser.error("--macs wants two different numbers or more")
    return options


def main() -> None:
    options = read_options()
    with benchmark(options) as bench:
        for section in SECTIONS:
            if section in options.only:
                WORK[section](bench)
        if options.json:
            document = {
                "schema": 2,
                "cores": os.cpu_count(),
                "runs": [asdict(each) for each in bench.figures],
                "ratios": [asdict(each) for each in bench.ratios],
            }
            print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
