"""`python -m macfleet.agent --root ROOT`: macfleet's own daemon on a Mac. Logs JSON lines to stdout, ends with 0 after SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time

from macfleet.agent import launchd
from macfleet.agent.watchdog import INTERVAL_S, Watchdog
from macfleet.core.json_log import JsonFormatter
from macfleet.core.paths import MacPaths

log = logging.getLogger("macfleet.agent")


class _OwnClock:
    """The time of this Mac."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m macfleet.agent", description="Watch over the workers of this Mac")
    parser.add_argument("--root", default="/", help="everything of macfleet on this Mac is below it")
    root = parser.parse_args(arguments).root
    _log_to_stdout()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    watchdog = Watchdog(MacPaths(root), _OwnClock(), launchd)
    log.info("started", extra={"root": root})
    while not stop.wait(INTERVAL_S):
        try:
            watchdog.look()
        except Exception:  # a disk that fails, a directory that cannot be read: the next look may be better
            log.exception("one look failed")
    log.info("ended")
    return 0


def _log_to_stdout() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
