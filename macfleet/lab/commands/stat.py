"""`stat -f`: BSD's own, which Linux does not have; owners come from the record of `chown`."""

from __future__ import annotations

import re
import stat as modes

from macfleet.lab.ownership import owner_of
from macfleet.lab.world import Call, Reply, World, failed


def stat(world: World, call: Call) -> Reply:
    words = [word for word in call.arguments if word not in ("-L", "-n")]
    if len(words) < 3 or words[0] != "-f":
        return failed("usage: stat [-FLnq] [-f format | -l | -r | -s | -x] [-t timefmt] [file ...]")
    out, errors = "", ""
    for file in words[2:]:
        try:
            out += _format(world, words[1], file, call) + "\n"
        except FileNotFoundError:
            errors += f"stat: {file}: stat: No such file or directory\n"
        except OSError as error:
            errors += f"stat: {file}: stat: {error.strerror}\n"
    return Reply(out, errors, 1 if errors else 0)


def _format(world: World, form: str, file: str, call: Call) -> str:
    path = world.path(file, call.cwd)
    if "-L" in call.arguments:
        path = path.resolve(strict=True)
    status = path.lstat()
    user, group = owner_of(world.state, path)
    values = {
        "%Lp": f"{modes.S_IMODE(status.st_mode) & 0o777:o}",
        "%OLp": f"{modes.S_IMODE(status.st_mode) & 0o777:o}",
        "%Su": user,
        "%Sg": group,
        "%z": str(status.st_size),
        "%m": str(int(status.st_mtime)),
        "%N": file,
        "%HT": "Directory" if path.is_dir() else "Symbolic Link" if path.is_symlink() else "Regular File",
    }
    return re.sub(r"%[A-Z]*[a-zA-Z]", lambda match: values.get(match[0], match[0]), form)
