"""The cables of a rehearsal fleet: edges between two ports, kept lab-wide, seen from both ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from macfleet.inventory.hardware import Hardware
from macfleet.lab.state import save_text


class Plug(BaseModel):
    """One end: a Mac and the number printed in System Information, "Receptacle: 2"."""

    model_config = ConfigDict(frozen=True)

    mac: str
    receptacle: int

    def __str__(self) -> str:
        return f"{self.mac} Thunderbolt {self.receptacle}"


class Cable(BaseModel):
    """`speed_gb_s` is what the cable can carry: 80 for Thunderbolt 5, 40 for 4. A cable that is out keeps its place.

    `has_dock`: it goes through a Thunderbolt 4 dock, at 40 Gb/s, and each Mac sees the other one behind it.
    """

    model_config = ConfigDict(frozen=True)

    ends: tuple[Plug, Plug]
    speed_gb_s: int = 80
    is_in: bool = True
    has_dock: bool = False

    def other_end(self, plug: Plug) -> Plug | None:
        if plug not in self.ends:
            return None
        return self.ends[1] if plug == self.ends[0] else self.ends[0]

    def touches(self, mac: str) -> bool:
        return mac in (end.mac for end in self.ends)

    def __str__(self) -> str:
        return f"{self.ends[0]} ↔ {self.ends[1]}"


_CABLES = TypeAdapter(tuple[Cable, ...])


def cabling(kind: Hardware, names: Sequence[str]) -> tuple[str, tuple[Cable, ...]]:
    """A full mesh where the ports suffice, else a ring."""
    if len(names) - 1 <= kind.thunderbolt_ports:
        return "mesh", mesh(names)
    return ("ring", ring(names)) if kind.thunderbolt_ports >= 2 else ("none", ())


def mesh(macs: Sequence[str]) -> tuple[Cable, ...]:
    """Every pair, on the lowest free port of each: the wiring of Apple's TN3205 for 2, 3 and 4 Macs."""
    used = dict.fromkeys(macs, 0)
    return tuple(_plug_in(used, one, other) for one, other in combinations(macs, 2))


def ring(macs: Sequence[str]) -> tuple[Cable, ...]:
    """Each Mac to the next and the last to the first; two Macs need one cable."""
    used = dict.fromkeys(macs, 0)
    pairs = list(zip(macs, [*macs[1:], macs[0]], strict=True))
    return tuple(_plug_in(used, one, other) for one, other in (pairs if len(macs) > 2 else pairs[: len(macs) - 1]))


def _plug_in(used: dict[str, int], one: str, other: str) -> Cable:
    used[one] += 1
    used[other] += 1
    return Cable(ends=(Plug(mac=one, receptacle=used[one]), Plug(mac=other, receptacle=used[other])))


def load_cables(path: Path) -> tuple[Cable, ...]:
    return _CABLES.validate_json(path.read_bytes())


def save_cables(cables: Sequence[Cable], path: Path) -> None:
    save_text(_CABLES.dump_json(tuple(cables), indent=1).decode(), path)
