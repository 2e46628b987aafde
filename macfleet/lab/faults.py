"""Misfortunes by name: what `lab fault` breaks and `lab heal` mends. A new one is a function here and a row in FAULTS."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from macfleet.core.errors import RequestError
from macfleet.core.near import did_you_mean
from macfleet.lab.cables import Cable, Plug, load_cables, save_cables
from macfleet.lab.paths import MacDir
from macfleet.lab.programs import install_homebrew, remove_homebrew
from macfleet.lab.remote import ask
from macfleet.lab.state import Power, State, load_state
from macfleet.lab.status import faults_of, find_lab, missing_cables
from macfleet.lab.sudo import give_rules_back, take_rules

WORKERS = "dev.macfleet.*.worker"


@dataclass(frozen=True)
class FaultOptions:
    """`port`: which cable, by the number at this Mac. `on_reboot`: only from the next restart on. `jobs`: launchd labels."""

    port: int | None = None
    on_reboot: bool = False
    jobs: str = WORKERS


@dataclass(frozen=True)
class Fault:
    """`inject` breaks one Mac and says what it broke; `heal` mends it, and is safe where nothing was broken."""

    name: str
    meaning: str
    inject: Callable[[MacDir, FaultOptions], str]
    heal: Callable[[MacDir], None]


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


def _remember(mac: MacDir, name: str, detail: str) -> str:
    ask(mac, "set_fault", name=name, detail=detail)
    return detail


def _change(mac: MacDir, **changes: object) -> None:
    ask(mac, "change", changes=changes)


def _forget(mac: MacDir, name: str) -> str | None:
    """The fault's detail if this Mac had it; from now on it has not."""
    detail = load_state(mac.state).faults.get(name)
    if detail is not None:
        ask(mac, "clear_fault", name=name)
    return detail


# --- power


def _inject_mac_down(mac: MacDir, options: FaultOptions) -> str:
    if options.on_reboot:
        return _remember(mac, "mac-down", "does not come back from its next restart")
    said = _remember(mac, "mac-down", "lost its power")
    ask(mac, "power_off")
    return said


def _heal_mac_down(mac: MacDir) -> None:
    if _forget(mac, "mac-down") is not None:
        ask(mac, "power_on")


def _inject_asleep(mac: MacDir, options: FaultOptions) -> str:
    said = _remember(mac, "asleep", "accepts connections and never answers")
    ask(mac, "sleep")
    return said


def _heal_asleep(mac: MacDir) -> None:
    if _forget(mac, "asleep") is not None:
        ask(mac, "wake")


def _inject_locked(mac: MacDir, options: FaultOptions) -> str:
    """Remembers whether FileVault was on before, so that healing leaves it as it was."""
    was_on = load_state(mac.state).filevault
    said = _remember(mac, "filevault-locked", f"restarted and waits for the password of its disk{', FileVault was on' if was_on else ''}")
    ask(mac, "lock")
    return said


def _heal_locked(mac: MacDir) -> None:
    """Also a Mac that stopped there by itself: FileVault is on and it has restarted."""
    if load_state(mac.state).power is Power.LOCKED:
        ask(mac, "unlock")
    detail = _forget(mac, "filevault-locked")
    if detail is not None:
        _change(mac, filevault="was on" in detail)


# --- macOS


def _inject_old_build(mac: MacDir, options: FaultOptions) -> str:
    _change(mac, macos_version="26.4.1", macos_build="25E253")
    return _remember(mac, "old-build", "runs macOS 26.4.1 (25E253)")


def _heal_old_build(mac: MacDir) -> None:
    if _forget(mac, "old-build") is not None:
        new = State.model_fields
        _change(mac, macos_version=new["macos_version"].default, macos_build=new["macos_build"].default)


def _inject_rdma_off(mac: MacDir, options: FaultOptions) -> str:
    """As if it had been switched off in Recovery before the last boot: at once, not from the next boot on."""
    _change(mac, rdma_enabled=False, has_rdma=False)
    return _remember(mac, "rdma-off", "RDMA is off")


def _heal_rdma_off(mac: MacDir) -> None:
    if _forget(mac, "rdma-off") is not None:
        ask(mac, "enable_rdma")


def _inject_disk_full(mac: MacDir, options: FaultOptions) -> str:
    return _remember(mac, "disk-full", "100 MiB are free; what is written over SSH ends at 1 MiB a file")


def _heal_disk_full(mac: MacDir) -> None:
    _forget(mac, "disk-full")


def _inject_sudo_password(mac: MacDir, options: FaultOptions) -> str:
    take_rules(mac)
    return _remember(mac, "sudo-password", "sudo asks for a password")


def _heal_sudo_password(mac: MacDir) -> None:
    give_rules_back(mac)
    _forget(mac, "sudo-password")


def _inject_filevault_on(mac: MacDir, options: FaultOptions) -> str:
    _change(mac, filevault=True)
    return _remember(mac, "filevault-on", "FileVault is on: its next restart stops at a password")


def _heal_filevault_on(mac: MacDir) -> None:
    if _forget(mac, "filevault-on") is not None:
        _change(mac, filevault=False)


def _inject_no_homebrew(mac: MacDir, options: FaultOptions) -> str:
    remove_homebrew(mac)
    return _remember(mac, "no-homebrew", "Homebrew is not installed")


def _heal_no_homebrew(mac: MacDir) -> None:
    install_homebrew(mac)
    _forget(mac, "no-homebrew")


def _inject_wired_leak(mac: MacDir, options: FaultOptions) -> str:
    return _remember(mac, "wired-leak", "most of the memory is wired and belongs to no process; a restart frees it")


def _heal_wired_leak(mac: MacDir) -> None:
    _forget(mac, "wired-leak")


def _inject_rdma_wedged(mac: MacDir, options: FaultOptions) -> str:
    return _remember(mac, "rdma-wedged", "ibv_devinfo never ends")


def _heal_rdma_wedged(mac: MacDir) -> None:
    _forget(mac, "rdma-wedged")


# --- cables


def _inject_cable_out(mac: MacDir, options: FaultOptions) -> str:
    return f"{_edit_cable(mac, options, is_in=False)} is out"


def _inject_tb4_cable(mac: MacDir, options: FaultOptions) -> str:
    return f"{_edit_cable(mac, options, speed_gb_s=40)} is a Thunderbolt 4 cable: 40 Gb/s"


def _edit_cable(mac: MacDir, options: FaultOptions, **update: object) -> Cable:
    cables = load_cables(mac.lab.cables)
    own = [(cable, end) for cable in cables for end in cable.ends if end.mac == mac.name and cable.is_in]
    chosen = [cable for cable, end in own if options.port in (None, end.receptacle)]
    if not chosen:
        where = Plug(mac=mac.name, receptacle=options.port) if options.port else mac.name
        used = ", ".join(str(end.receptacle) for _, end in own) or "none"
        raise RequestError(f"there is no cable in {where}", hint=f"{mac.name} has cables in port {used}")
    edited = chosen[0].model_copy(update=update)
    save_cables([edited if cable == chosen[0] else cable for cable in cables], mac.lab.cables)
    return edited


def _heal_cable_out(mac: MacDir) -> None:
    """Every cable that the fleet is planned with is in at this Mac, also where there never was one."""
    cables = load_cables(mac.lab.cables)
    there = [cable.model_copy(update={"is_in": True}) if cable.touches(mac.name) else cable for cable in cables]
    save_cables([*there, *missing_cables(mac)], mac.lab.cables)


def _heal_tb4_cable(mac: MacDir) -> None:
    cables = load_cables(mac.lab.cables)
    save_cables([cable.model_copy(update={"speed_gb_s": 80}) if cable.touches(mac.name) else cable for cable in cables], mac.lab.cables)


# --- workers


def _inject_worker_killed(mac: MacDir, options: FaultOptions) -> str:
    return f"killed {_signal_workers(mac, options, signal.SIGKILL)}"


def _inject_worker_frozen(mac: MacDir, options: FaultOptions) -> str:
    return f"froze {_signal_workers(mac, options, signal.SIGSTOP)}"


def _signal_workers(mac: MacDir, options: FaultOptions, number: int) -> str:
    hit = ask(mac, "signal", jobs=options.jobs, number=number)
    if not hit:
        raise RequestError(f"{mac.name} runs no job like {options.jobs}", hint="`macfleet lab status` lists the jobs that run")
    return ", ".join(hit)


def _heal_worker_frozen(mac: MacDir) -> None:
    ask(mac, "signal", jobs=WORKERS, number=signal.SIGCONT)


def _nothing_to_heal(mac: MacDir) -> None:
    """launchd has brought it back, or has not: both are true."""


FAULTS: tuple[Fault, ...] = (
    Fault(
        "mac-down", "The Mac has no power; with --on-reboot it does not come back from its next restart", _inject_mac_down, _heal_mac_down
    ),
    Fault("asleep", "The Mac accepts connections and never answers", _inject_asleep, _heal_asleep),
    Fault("filevault-locked", "The Mac has restarted and waits for the password of its disk", _inject_locked, _heal_locked),
    Fault("filevault-on", "FileVault is on, and the Mac is unlocked until its next restart", _inject_filevault_on, _heal_filevault_on),
    Fault("old-build", "The Mac runs an older macOS than the others", _inject_old_build, _heal_old_build),
    Fault("rdma-off", "RDMA over Thunderbolt is not enabled", _inject_rdma_off, _heal_rdma_off),
    Fault("tb4-cable", "A cable of the Mac (MAC:PORT) is Thunderbolt 4: 40 Gb/s", _inject_tb4_cable, _heal_tb4_cable),
    Fault("cable-out", "A cable of the Mac (MAC:PORT) is not plugged in", _inject_cable_out, _heal_cable_out),
    Fault("rdma-wedged", "The RDMA driver hangs: ibv_devinfo never ends", _inject_rdma_wedged, _heal_rdma_wedged),
    Fault("wired-leak", "A killed process has left the GPU's memory wired, until the next restart", _inject_wired_leak, _heal_wired_leak),
    Fault("disk-full", "The Mac's disk is full", _inject_disk_full, _heal_disk_full),
    Fault("sudo-password", "sudo asks for a password", _inject_sudo_password, _heal_sudo_password),
    Fault("no-homebrew", "Homebrew is not installed", _inject_no_homebrew, _heal_no_homebrew),
    Fault("worker-killed", "SIGKILL to the Mac's stage workers (--job)", _inject_worker_killed, _nothing_to_heal),
    Fault("worker-frozen", "SIGSTOP to the Mac's stage workers (--job)", _inject_worker_frozen, _heal_worker_frozen),
)
