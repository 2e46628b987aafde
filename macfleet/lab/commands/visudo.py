"""`visudo -cf`: whether a file is one that sudo understands. The rules that a rehearsal's sudo follows, and their comments."""

from __future__ import annotations

import re

from macfleet.lab.world import Call, Reply, World, failed

_RULE = re.compile(r"[%\w.#-]+\s+\w+\s*=\s*(\([\w:, ]+\)\s*)?([A-Z]+:\s*)*(ALL|/\S+)(\s*,\s*(ALL|/[^,]+))*")


def visudo(world: World, call: Call) -> Reply:
    words = [word for word in call.arguments if word not in ("-c", "-f", "-cf", "-q", "-qcf")]
    if len(words) != 1 or len(words) == len(call.arguments):
        return failed("usage: visudo [-chqsV] [[-f] sudoers ]")
    path = world.path(words[0], call.cwd)
    if not path.is_file():
        return failed(f"visudo: unable to open {words[0]}: No such file or directory")
    if not call.is_root and not path.stat().st_mode & 0o004:
        return failed(f"visudo: unable to open {words[0]}: Permission denied")
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        if not _is_understood(line.strip()):
            return failed(f"{words[0]}:{number}:{len(line) + 1}: syntax error\n{line}\n{'^':>{len(line) + 1}}")
    return Reply(f"{words[0]}: parsed OK\n")


def _is_understood(line: str) -> bool:
    return not line or line.startswith(("#", "Defaults")) or _RULE.fullmatch(line) is not None
