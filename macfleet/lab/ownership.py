"""Who owns a file on a simulated Mac. Nobody needs to be root to rehearse, so `chown` is recorded, not done."""

from __future__ import annotations

from pathlib import Path

from macfleet.lab.state import Owner, State


def owner_of(state: State, path: Path) -> tuple[str, str]:
    """User and group: what the last `chown` said of this very file, else the Mac's own user.

    A record follows its file through a rename, and dies with it: the inode tells which file, the path or the time of its
    last change that the inode was not given to another one since.
    """
    status = path.lstat()
    record = state.owners.get(f"{status.st_dev}:{status.st_ino}")
    if record and (record.path == str(path) or record.modified_ns == status.st_mtime_ns):
        return record.user, record.group
    return state.user, "staff"


def record_owner(state: State, path: Path, user: str, group: str) -> None:
    status = path.lstat()
    state.owners[f"{status.st_dev}:{status.st_ino}"] = Owner(user=user, group=group, path=str(path), modified_ns=status.st_mtime_ns)
