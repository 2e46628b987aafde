"""`vm_stat`: where the memory is. A simulated Mac has as much as its hardware says, and hardly uses it."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World

PAGE = 16384

# Rows and their order as in tests/fixtures/ops/vm_stat.mac_mini_m4_macos26.5.1.txt; shares of memory in per mille.
_SHARES = {
    "Pages free": 780,
    "Pages active": 90,
    "Pages inactive": 85,
    "Pages speculative": 5,
    "Pages throttled": 0,
    "Pages wired down": 35,
    "Pages purgeable": 1,
}
_COUNTS = {
    '"Translation faults"': 1896659814,
    "Pages copy-on-write": 157695573,
    "Pages zero filled": 1177536752,
    "Pages reactivated": 0,
    "Pages purged": 0,
    "File-backed pages": 409145,
    "Anonymous pages": 363641,
    "Pages stored in compressor": 0,
    "Pages occupied by compressor": 0,
    "Decompressions": 0,
    "Compressions": 0,
    "Pageins": 422554,
    "Pageouts": 775,
    "Swapins": 0,
    "Swapouts": 0,
}


def vm_stat(world: World, call: Call) -> Reply:
    pages = world.state.memory_bytes // PAGE
    rows = {name: pages * share // 1000 for name, share in _SHARES.items()} | _COUNTS
    if world.state.has_fault("wired-leak"):
        # Seen on an M3 Ultra of 512 GB: 424 GiB stayed wired after a SIGKILL, until the next restart.
        leaked = rows["Pages free"] * 9 // 10
        rows["Pages free"] -= leaked
        rows["Pages wired down"] += leaked
    body = "".join(f"{name + ':':<40}{f'{count}.':>15}\n" for name, count in rows.items())
    return Reply(f"Mach Virtual Memory Statistics: (page size of {PAGE} bytes)\n{body}")
