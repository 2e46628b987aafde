"""What a year does to a Mac: leaks, swap, heat, panics, a worn SSD, a full disk, and switches that other hands turned."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from macfleet.lab.commands.last import row
from macfleet.lab.fault import Fault, FaultOptions, change, forget, marked, remember
from macfleet.lab.paths import MacDir
from macfleet.lab.state import Wear, load_state

_REPORTS = "Library/Logs/DiagnosticReports"
_REPORT = "panic-full-%Y-%m-%d-%H%M%S.0002.panic"


def worn(name: str, meaning: str, detail: str, values: Mapping[str, Any]) -> Fault:
    """Other values in `state.wear`; healing sets those of a new Mac, or what stood there where a new Mac's are not harmless."""

    def inject(mac: MacDir, options: FaultOptions) -> str:
        _set(mac, values)
        return remember(mac, name, detail)

    def heal(mac: MacDir) -> None:
        if forget(mac, name) is not None:
            new = Wear()
            _set(mac, {key: _HARMLESS.get(key, getattr(new, key)) for key in values})

    return Fault(name, meaning, inject, heal)


# Where a new Mac is not as a careful owner wants it.
_HARMLESS = {"is_indexed": False}


def _set(mac: MacDir, values: Mapping[str, Any]) -> None:
    change(mac, wear={**load_state(mac.state).wear.model_dump(), **values})


def _inject_panic(mac: MacDir, options: FaultOptions) -> str:
    """A report, and a start without a shutdown before it."""
    report = mac.root / _REPORTS / time.strftime(_REPORT)
    report.parent.mkdir(parents=True, exist_ok=True)
    cause = r"\"completeMemory() prepare count underflow\" @IOGPUMemory.cpp:550\nDebugger message: panic\n"
    report.write_text(f'{{"bug_type":"210"}}\n{{"panicString" : "panic(cpu 4 caller 0xfffffe0030d1f3a4): {cause}"}}\n')
    _start_unclean(mac)
    return remember(mac, "panic", "its kernel panicked, and it started again by itself")


def _heal_panic(mac: MacDir) -> None:
    for report in (mac.root / _REPORTS).glob("panic-full-*.panic"):
        report.unlink()
    forget(mac, "panic")


def _inject_unclean_boot(mac: MacDir, options: FaultOptions) -> str:
    _start_unclean(mac)
    return remember(mac, "unclean-boot", "started without having been shut down: its power was cut")


def _heal_unclean_boot(mac: MacDir) -> None:
    """macOS forgets no start: it is mended by having been looked at."""
    forget(mac, "unclean-boot")


def _start_unclean(mac: MacDir) -> None:
    _set(mac, {"starts": [row("reboot", time.time()), *load_state(mac.state).wear.starts]})


WEAR: tuple[Fault, ...] = (
    marked(
        "wired-leak",
        "A killed process has left the GPU's memory wired, until the next restart",
        "most of the memory is wired and belongs to no process; a restart frees it",
    ),
    marked("disk-full", "The Mac's disk is full", "100 MiB are free; what is written over SSH ends at 1 MiB a file"),
    worn("swap", "The Mac swaps: more is wanted of its memory than there is", "48 GiB are swapped out",
         {"swap_used_bytes": 48 * 1024**3, "pressure_level": 4}),
    worn("hot", "The Mac is so hot that it slows itself down", "its thermal pressure is heavy", {"thermal_level": 2}),
    Fault("panic", "The Mac's kernel panicked, and it started again", _inject_panic, _heal_panic),
    Fault("unclean-boot", "The Mac's power was cut, and it started again", _inject_unclean_boot, _heal_unclean_boot),
    worn("ssd-worn", "The Mac's SSD is worn: 83 % of what its maker allows for", "83 % of its SSD's life is used",
         {"ssd_used_percent": 83, "ssd_written_bytes": 2_400 * 10**12}),
    worn("firewall-on", "Somebody has switched the firewall on, to let nobody in", "its firewall lets nobody in", {"firewall": 2}),
    worn("time-machine", "Somebody has Time Machine copy the models", 'Time Machine copies all to "Tower"', {"backs_up_to": "Tower"}),
    worn("spotlight", "Somebody has switched Spotlight on, for the models too", "Spotlight indexes the models", {"is_indexed": True}),
    worn("on-ups", "The mains are out, and the Mac runs on its UPS", "runs on its UPS", {"ups": "Back-UPS ES 700", "is_on_ups": True}),
)  # fmt: skip
