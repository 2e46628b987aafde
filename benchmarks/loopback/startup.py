"""How long a person waits for the first sign of life, measured in turns with a bare interpreter that loads the same libraries."""

from __future__ import annotations

import os
import pty
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.loopback.wire import silent_port

BARE = (sys.executable, "-c", "import typer, rich")
MACFLEET = (sys.executable, "-c", "from macfleet.cli.app import main; main()")

INVENTORY = """
macs:
  studio-1: {{address: 127.0.0.1, port: {port}, hardware: mac-studio-m3-ultra, memory: 512 GiB}}
"""


def start_up(directory: Path, rounds: int) -> dict[str, float]:
    """What → median seconds: of the bare interpreter, of the help, until verify says something, until verify calls its first Mac."""
    with silent_port() as mac:
        inventory = directory / "inventory.yaml"
        inventory.write_text(INVENTORY.format(port=mac.getsockname()[1]))
        verify = (*MACFLEET, "verify", "-i", str(inventory))
        works: dict[str, Callable[[], float]] = {
            "bare": lambda: until_its_end(BARE),
            "macfleet --help": lambda: until_its_end((*MACFLEET, "--help")),
            "verify, first byte": lambda: until_it_speaks(verify),
            "verify, first call": lambda: until_it_calls(verify, mac),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for work in works.values():
            work()  # what was never loaded comes from the disk
        for _ in range(rounds):
            for name, work in works.items():
                times[name].append(work())
    return {name: statistics.median(each) for name, each in times.items()}


def until_its_end(words: tuple[str, ...]) -> float:
    start = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def until_it_speaks(words: tuple[str, ...]) -> float:
    """Until the first byte on its terminal."""
    terminal, its_end = pty.openpty()
    start = time.monotonic()
    process = subprocess.Popen(words, stdin=its_end, stdout=its_end, stderr=its_end, start_new_session=True)
    os.close(its_end)
    os.read(terminal, 1)
    took = time.monotonic() - start
    _end(process)
    os.close(terminal)
    return took


def until_it_calls(words: tuple[str, ...], mac: socket.socket) -> float:
    """Until the first Mac takes the connection."""
    mac.settimeout(0.0)
    while True:  # those of the rounds before
        try:
            mac.accept()[0].close()
        except BlockingIOError:
            break
    mac.settimeout(30.0)
    start = time.monotonic()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    mac.accept()[0].close()
    took = time.monotonic() - start
    _end(process)
    return took


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
