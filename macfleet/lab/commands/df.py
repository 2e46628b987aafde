"""`df -k`: the room below the Mac's root, which is this machine's own unless the disk is said to be full."""

from __future__ import annotations

import os
import shutil

from macfleet.lab.world import Call, Reply, World, failed

# What a full disk still has: enough for a log line, not for anything macfleet would put there.
FULL_FREE_BYTES = 100 * 1024**2


def df(world: World, call: Call) -> Reply:
    paths = [word for word in call.arguments if not word.startswith("-")] or ["/"]
    unit, column = (1024, "1024-blocks") if "-k" in call.arguments else (512, "512-blocks")
    rows = []
    for path in paths:
        if not os.path.exists(world.path(path, call.cwd)) and not path.startswith("/System/Volumes"):
            return failed(f"df: {path}: No such file or directory")
        rows.append(_row(world, unit))
    return Reply(f"Filesystem     {column}      Used Available Capacity iused      ifree %iused  Mounted on\n" + "".join(rows))


def _row(world: World, unit: int) -> str:
    usage = shutil.disk_usage(world.root)
    free = min(usage.free, FULL_FREE_BYTES) if world.state.has_fault("disk-full") else usage.free
    used = usage.total - free
    percent = round(100 * used / usage.total)
    columns = f"{usage.total // unit:>11} {used // unit:>9} {free // unit:>9} {percent:>7}% 1204017 {free // 10240:>10}    0%"
    return f"/dev/disk3s5   {columns}   /System/Volumes/Data\n"
