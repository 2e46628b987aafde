"""Sends a file to all Macs and says what that cost. A process of its own: the peak of its memory is nobody else's."""

from __future__ import annotations

import json
import pickle
import resource
import sys
import time
from pathlib import Path

from macfleet.fleet.fleet import Fleet


def main() -> None:
    """stdin: a pickled (inventory, file, name on the Mac). stdout: seconds and bytes, as JSON."""
    inventory, source, name = pickle.load(sys.stdin.buffer)
    peak_before = peak_bytes()
    wall, cpu = time.monotonic(), time.process_time()
    with Fleet(inventory, inventory.macs) as fleet:
        report = fleet.each(lambda mac, line: line.put(Path(source), f"{mac.root}/{name}"))
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    assert report.ok, report.errors()
    json.dump({"wall_s": wall, "cpu_s": cpu, "peak_bytes": peak_bytes(), "peak_before_bytes": peak_before}, sys.stdout)


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
