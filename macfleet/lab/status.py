"""`lab status`: what the rehearsal fleet is made of and what runs on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from macfleet.core.errors import RequestError
from macfleet.inventory import hardware
from macfleet.lab.cables import Cable, cabling, load_cables
from macfleet.lab.down import is_simulator
from macfleet.lab.network import ADDRESS
from macfleet.lab.paths import LabDir, MacDir
from macfleet.lab.remote import ask
from macfleet.lab.state import Power, load_state


def find_lab(directory: Path) -> LabDir:
    """The rehearsal fleet in this directory; RequestError if there is none."""
    lab = LabDir(directory.absolute())
    if not lab.macs():
        raise RequestError(f"there is no rehearsal fleet in {lab.path}", hint="`macfleet lab up` makes one; or name its --dir")
    return lab


def status(directory: Path) -> dict[str, Any]:
    """Schema 1 of `lab status --json`."""
    lab = find_lab(directory)
    macs = [_mac(mac) for mac in lab.macs()]
    cables = [
        {"ends": [str(end) for end in cable.ends], "speed_gb_s": cable.speed_gb_s, "is_in": cable.is_in}
        for cable in load_cables(lab.cables)
    ]
    running = sum(mac["power"] == "on" for mac in macs)
    return {
        "schema": 1,
        "inventory": str(lab.inventory),
        "macs": macs,
        "cables": cables,
        "summary": {"macs": len(macs), "running": running, "processes": sum(len(mac["processes"]) for mac in macs)},
    }


def faults_of(mac: MacDir) -> dict[str, str]:
    """What is broken now; a cable counts for both its ends."""
    state = load_state(mac.state)
    there = [cable for cable in load_cables(mac.lab.cables) if cable.touches(mac.name)]
    out = [str(cable) for cable in there if not cable.is_in]
    out += [f"{cable} was never put in" for cable in missing_cables(mac)]
    slow = [str(cable) for cable in there if cable.speed_gb_s < 80]
    broken = dict(state.faults)
    if state.power is Power.LOCKED:
        broken.setdefault("filevault-locked", "has restarted and waits for the password of its disk")
    return broken | {name: ", ".join(cables) for name, cables in (("cable-out", out), ("tb4-cable", slow)) if cables}


def missing_cables(mac: MacDir) -> list[Cable]:
    """Of this Mac, those that the fleet is planned with and that never were there: Macs as shipped have none."""
    kind = hardware.find(load_state(mac.state).hardware)
    planned = cabling(kind, [each.name for each in mac.lab.macs()])[1] if kind else ()
    there = [cable.ends for cable in load_cables(mac.lab.cables)]
    return [cable for cable in planned if cable.touches(mac.name) and cable.ends not in there]


def _mac(mac: MacDir) -> dict[str, Any]:
    state = load_state(mac.state)
    base = {
        "mac": mac.name,
        "hardware": state.hardware,
        "memory_bytes": state.memory_bytes,
        "address": ADDRESS,
        "ssh_port": state.ssh_port,
        "root": str(mac.root),
    }
    if not is_simulator(state.simulator_pid, mac):
        return {
            **base,
            "power": "stopped",
            "simulator_pid": None,
            "boots": state.boots,
            "faults": faults_of(mac),
            "ports": [],
            "jobs": [],
            "processes": [],
        }
    report = ask(mac, "report")
    now = report["state"]
    return {
        **base,
        "power": now["power"],
        "simulator_pid": now["simulator_pid"],
        "boots": now["boots"],
        "macos": f"{now['macos_version']} ({now['macos_build']})",
        "faults": faults_of(mac),
        "ports": report["ports"],
        "jobs": report["jobs"],
        "processes": report["processes"],
    }
