"""What a misfortune is, and what all of them do: remember themselves in the Mac's state, change it, and forget again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from macfleet.lab.paths import MacDir
from macfleet.lab.remote import ask
from macfleet.lab.state import load_state

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


def marked(name: str, meaning: str, detail: str) -> Fault:
    """A misfortune that the emulated programs look up by its name: there is nothing to change but the mark."""

    def inject(mac: MacDir, options: FaultOptions) -> str:
        return remember(mac, name, detail)

    def heal(mac: MacDir) -> None:
        forget(mac, name)

    return Fault(name, meaning, inject, heal)


def remember(mac: MacDir, name: str, detail: str) -> str:
    ask(mac, "set_fault", name=name, detail=detail)
    return detail


def forget(mac: MacDir, name: str) -> str | None:
    """The fault's detail if this Mac had it; from now on it has not."""
    detail = load_state(mac.state).faults.get(name)
    if detail is not None:
        ask(mac, "clear_fault", name=name)
    return detail


def change(mac: MacDir, **changes: object) -> None:
    ask(mac, "change", changes=changes)


def has(mac: MacDir, name: str) -> bool:
    return load_state(mac.state).has_fault(name)
