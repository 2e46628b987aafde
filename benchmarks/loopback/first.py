"""A first provision: Macs on which nothing is as wanted yet, and a playbook of so many changes, all to real files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.loopback.ground import SHASUM, SUDO
from macfleet.core.command import Command
from macfleet.core.result import Result
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.journal import Journal
from macfleet.inventory.mac import Inventory
from macfleet.playbook.load import load_playbook
from macfleet.playbook.tasks import Playbook
from macfleet.serving.materials import Materials
from macfleet.serving.provision import Provisioning, run
from tests.fleet.sshd import Sshd, inventory_of

# BSD's `stat -f '%Lp %Su %Sg %z %HT'`, said by GNU's. The rest is what it is on a Mac, too.
STAT = """
[ "$1" = -L ] && { follow=-L; shift; }
[ "$1" = -f ] || exit 70
shift 2
/usr/bin/stat $follow --printf '%a %U %G %s %F\\n' -- "$@" | sed -e 's/regular.*file$/Regular File/' -e 's/directory$/Directory/'
[ -e "$1" ] || { echo "stat: $1: stat: No such file or directory" >&2; exit 1; }
"""


def as_shipped(servers: Sequence[Sshd]) -> None:
    for server in servers:
        server.program("uname", 'case "$*" in "" | -s) echo Darwin ;; *) exec /usr/bin/uname "$@" ;; esac')
        server.program("stat", STAT)
        server.program("shasum", SHASUM)
        server.program("sudo", SUDO)


def playbook_of(changes: int) -> Playbook:
    tasks = "".join(
        f'  - name: File {number}\n    file:\n      path: "{{{{ mac.paths.state }}}}/bench/{number}.conf"\n'
        f"      content: |\n        # {number}\n        {'x' * 200}\n      owner: login\n"
        for number in range(1, changes)
    )
    directory = '  - name: Directory\n    directory:\n      paths: ["{{ mac.paths.state }}/bench"]\n      owner: login\n'
    return load_playbook("tasks:\n" + directory + tasks, "bench.yaml")


def forget(servers: Sequence[Sshd]) -> None:
    """Every Mac as it was before."""
    for server in servers:
        shutil.rmtree(server.root)
        server.root.mkdir()


def fleet_as_shipped(servers: Sequence[Sshd], base: Inventory) -> Inventory:
    inventory = inventory_of(*servers)
    macs = tuple(
        replace(base.macs[0], name=mac.name, address=mac.address, port=mac.port, user=mac.user, root=mac.root) for mac in inventory.macs
    )
    return replace(base, path=inventory.path, macs=macs, ssh=inventory.ssh, services=())


def provision_first(inventory: Inventory, playbook: Playbook, materials: Materials, changes: int) -> float:
    """Round trips (channels) per Mac."""
    with Fleet(inventory, inventory.macs) as fleet:
        provisioning = Provisioning(fleet, playbook, materials)
        plans = provisioning.plan()
        assert all(len(plan.changes) == changes for plan in plans.values().values()), plans
        for outcome in run(provisioning, fleet, plans, Journal(Path(inventory.path).parent / "journal.jsonl")):
            if outcome.error or outcome.value.error:
                raise outcome.error or outcome.value.error
        trips = sum(fleet.connection(mac).channels_opened for mac in inventory.macs)
    return trips / len(inventory.macs)


def floor_phases(inventory: Inventory, playbook: Playbook, materials: Materials) -> dict[str, list[list[Command]]]:
    """Mac → what a script would do there that knows beforehand what is missing: read, then change it all and read again."""
    asked: dict[str, list[Command]] = {mac.name: [] for mac in inventory.macs}

    class Listener:
        def started(self, mac: str, doing: str) -> None: ...
        def finished(self, mac: str, outcome: object) -> None: ...
        def result(self, mac: str, result: Result) -> None:
            asked[mac].append(result.command)

    with Fleet(inventory, inventory.macs, observer=Listener()) as fleet:
        plans = Provisioning(fleet, playbook, materials).plan().values()
    changed = {name: [command for _, change in plan.changes for command in change.commands] for name, plan in plans.items()}
    return {name: [questions, [*changed[name], *questions]] for name, questions in asked.items()}
