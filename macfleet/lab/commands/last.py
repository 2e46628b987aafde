"""`last reboot shutdown`: when the Mac was started, and shut down."""

from __future__ import annotations

import time

from macfleet.lab.state import State
from macfleet.lab.world import Call, Reply, World

# Of tests/fixtures/ops/last_reboot.macos.2026-08-24.partial.txt: no year, no host, no duration.
_ROW = "{:<43}{}"
_MOST = 40


def last(world: World, call: Call) -> Reply:
    wanted = call.arguments or ("reboot", "shutdown")
    rows = [row for row in world.state.wear.starts if row.split()[0] in wanted]
    return Reply("".join(f"{row}\n" for row in rows) + "\nwtmp begins Thu Jan  1 00:00\n")


def record(state: State, kind: str, at: float) -> None:
    """`kind` reboot or shutdown; a Mac that loses its power records nothing."""
    state.wear.starts = [row(kind, at), *state.wear.starts][:_MOST]


def row(kind: str, at: float) -> str:
    return _ROW.format(f"{kind} time", time.strftime("%a %b %e %H:%M", time.localtime(at)))
