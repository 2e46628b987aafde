"""Power: a Mac that is off, asleep, locked, or about to be."""

from __future__ import annotations

from macfleet.lab.fault import Fault, FaultOptions, change, forget, remember
from macfleet.lab.paths import MacDir
from macfleet.lab.remote import ask
from macfleet.lab.state import Power, load_state


def _inject_mac_down(mac: MacDir, options: FaultOptions) -> str:
    if options.on_reboot:
        return remember(mac, "mac-down", "does not come back from its next restart")
    said = remember(mac, "mac-down", "lost its power")
    ask(mac, "power_off")
    return said


def _heal_mac_down(mac: MacDir) -> None:
    if forget(mac, "mac-down") is not None:
        ask(mac, "power_on")


def _inject_asleep(mac: MacDir, options: FaultOptions) -> str:
    said = remember(mac, "asleep", "accepts connections and never answers")
    ask(mac, "sleep")
    return said


def _heal_asleep(mac: MacDir) -> None:
    if forget(mac, "asleep") is not None:
        ask(mac, "wake")


def _inject_locked(mac: MacDir, options: FaultOptions) -> str:
    """Remembers whether FileVault was on before, so that healing leaves it as it was."""
    was_on = load_state(mac.state).filevault
    said = remember(mac, "filevault-locked", f"restarted and waits for the password of its disk{', FileVault was on' if was_on else ''}")
    ask(mac, "lock")
    return said


def _heal_locked(mac: MacDir) -> None:
    """Also a Mac that stopped there by itself: FileVault is on and it has restarted."""
    if load_state(mac.state).power is Power.LOCKED:
        ask(mac, "unlock")
    detail = forget(mac, "filevault-locked")
    if detail is not None:
        change(mac, filevault="was on" in detail)


def _inject_filevault_on(mac: MacDir, options: FaultOptions) -> str:
    change(mac, filevault=True)
    return remember(mac, "filevault-on", "FileVault is on: its next restart stops at a password")


def _heal_filevault_on(mac: MacDir) -> None:
    if forget(mac, "filevault-on") is not None:
        change(mac, filevault=False)


def _pmset(name: str, meaning: str, detail: str, **settings: int) -> Fault:
    """Somebody has changed power settings; healing puts back those that were there before."""

    def inject(mac: MacDir, options: FaultOptions) -> str:
        before = load_state(mac.state).pmset
        change(mac, pmset={**before, **settings})
        return remember(mac, name, f"{detail} ({', '.join(f'{key} was {before.get(key, 0)}' for key in settings)})")

    def heal(mac: MacDir) -> None:
        said = forget(mac, name)
        if said is not None:
            was = {key: int(said.partition(f"{key} was ")[2].partition(",")[0].rstrip(")")) for key in settings}
            change(mac, pmset={**load_state(mac.state).pmset, **was})

    return Fault(name, meaning, inject, heal)


POWER: tuple[Fault, ...] = (
    Fault(
        "mac-down", "The Mac has no power; with --on-reboot it does not come back from its next restart", _inject_mac_down, _heal_mac_down
    ),
    Fault("asleep", "The Mac accepts connections and never answers", _inject_asleep, _heal_asleep),
    Fault("filevault-locked", "The Mac has restarted and waits for the password of its disk", _inject_locked, _heal_locked),
    Fault("filevault-on", "FileVault is on, and the Mac is unlocked until its next restart", _inject_filevault_on, _heal_filevault_on),
    _pmset("sleeps", "Somebody lets the Mac sleep again", "sleeps after a minute without a user", sleep=1),
    _pmset("stays-off", "Somebody has switched off that the Mac starts after a power cut", "stays off after a power cut", autorestart=0),
    _pmset("low-power", "Somebody has switched Low Power Mode on: launchd holds jobs back", "is in Low Power Mode", lowpowermode=1),
)
