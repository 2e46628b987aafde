"""`chown` and `chgrp`: recorded, not done; whoever rehearses is not root."""

from __future__ import annotations

from pathlib import Path

from macfleet.lab.ownership import owner_of, record_owner
from macfleet.lab.world import Call, Reply, World, failed

_USERS = {"root", "nobody", "daemon"}
_GROUPS = {"wheel", "staff", "admin", "daemon", "nobody"}


def chown(world: World, call: Call) -> Reply:
    words = [word for word in call.arguments if not word.startswith("-")]
    if len(words) < 2:
        return failed("usage: chown [-fhnvx] [-R [-H | -L | -P]] owner[:group] file ...")
    user, _, group = words[0].partition(":")
    return _record(world, call, "chown", user, group, words[1:])


def chgrp(world: World, call: Call) -> Reply:
    words = [word for word in call.arguments if not word.startswith("-")]
    if len(words) < 2:
        return failed("usage: chgrp [-fhnvx] [-R [-H | -L | -P]] group file ...")
    return _record(world, call, "chgrp", "", words[0], words[1:])


def _record(world: World, call: Call, program: str, user: str, group: str, files: list[str]) -> Reply:
    if user and user not in _USERS | {world.state.user}:
        return failed(f"{program}: {user}: illegal user name")
    if group and group not in _GROUPS:
        return failed(f"{program}: {group}: illegal group name")
    errors = ""
    for file in files:
        path = world.path(file, call.cwd)
        if not path.exists() and not path.is_symlink():
            errors += f"{program}: {file}: No such file or directory\n"
        elif not call.is_root and user not in ("", owner_of(world.state, path)[0]):
            errors += f"{program}: {file}: Operation not permitted\n"
        else:
            _give(world, path, user, group, is_recursive=any(word.startswith("-") and "R" in word for word in call.arguments))
    return Reply("", errors, 1 if errors else 0)


def _give(world: World, path: Path, user: str, group: str, *, is_recursive: bool) -> None:
    for each in [path, *(path.rglob("*") if is_recursive else [])]:
        old_user, old_group = owner_of(world.state, each)
        record_owner(world.state, each, user or old_user, group or old_group)
