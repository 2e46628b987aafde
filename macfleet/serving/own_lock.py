"""Locks that a run of this very machine left on a Mac that was away when it ended."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Sequence

from macfleet.fleet.fleet import Fleet
from macfleet.fleet.lock import Lock, break_locks, read_locks
from macfleet.inventory.mac import Mac


def free_own_dead_locks(fleet: Fleet, macs: Sequence[Mac]) -> tuple[str, ...]:
    """Take away locks of this user on this machine whose process is gone; the Macs they were on.

    A roll that stopped because a Mac did not return could not release that Mac's lock. Nobody else's is touched, and none
    whose process lives.
    """
    held = read_locks(fleet, macs).values()
    dead = [mac for mac in macs if (lock := held.get(mac.name)) is not None and _is_dead_and_ours(lock)]
    if dead:
        break_locks(fleet, dead)
    return tuple(mac.name for mac in dead)


def _is_dead_and_ours(lock: Lock) -> bool:
    return (lock.who, lock.host) == (getpass.getuser(), platform.node()) and not _is_alive(lock.pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
