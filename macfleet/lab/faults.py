"""Misfortunes by name: what `lab fault` breaks and `lab heal` mends. A new one is a row in one of the files named here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from macfleet.core.errors import RequestError
from macfleet.core.near import did_you_mean
from macfleet.lab.fault import WORKERS, Fault, FaultOptions
from macfleet.lab.faults_cables import CABLES
from macfleet.lab.faults_jobs import JOBS
from macfleet.lab.faults_macos import MACOS
from macfleet.lab.faults_power import POWER
from macfleet.lab.faults_wear import WEAR
from macfleet.lab.paths import MacDir
from macfleet.lab.status import faults_of, find_lab

FAULTS: tuple[Fault, ...] = (*POWER, *MACOS, *CABLES, *WEAR, *JOBS)

__all__ = ["FAULTS", "WORKERS", "Fault", "FaultOptions", "break_mac", "find_fault", "heal"]


def break_mac(directory: Path, name: str, mac: str, options: FaultOptions | None = None) -> str:
    """Break one Mac of a rehearsal fleet; says what was broken."""
    return find_fault(name).inject(_find_mac(directory, mac), options or FaultOptions())


def heal(directory: Path, names: Sequence[str] = (), macs: Sequence[str] = ()) -> tuple[str, ...]:
    """Mend these faults (all, if none is named) on these Macs (on all); says what was mended."""
    lab = find_lab(directory)
    faults = [find_fault(name) for name in names] or list(FAULTS)
    healed = []
    for mac in [_find_mac(directory, name) for name in macs] or list(lab.macs()):
        for fault in faults:
            before = faults_of(mac)
            fault.heal(mac)
            if fault.name in before:
                healed.append(f"{mac.name}: {fault.name}, {before[fault.name]}")
    return tuple(healed)


def find_fault(name: str) -> Fault:
    found = next((fault for fault in FAULTS if fault.name == name), None)
    if found is None:
        raise RequestError(f'there is no fault "{name}"', hint=did_you_mean(name, [fault.name for fault in FAULTS]))
    return found


def _find_mac(directory: Path, name: str) -> MacDir:
    macs = {mac.name: mac for mac in find_lab(directory).macs()}
    if name not in macs:
        raise RequestError(f'the rehearsal fleet has no Mac "{name}"', hint=did_you_mean(name, list(macs)))
    return macs[name]
