"""The ledger of a Mac: what macfleet changed there, what was there before, and the commands that take it back.

It is kept on the Mac itself, so that whoever comes after us, from another laptop, can still take everything back. One JSON line
for each change, written before the change is made; `{"undone": WHAT}` strikes a line out again. The first line of a thing
holds what the Mac was before macfleet came: it wins over all later ones.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.change import Change
from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import says, unparsable

UNDO_TIMEOUT_S = 600.0  # a job is given its whole ExitTimeOut, and Homebrew takes its time
_SUDO = ("sudo", "-n")

# A line is written to its newline before its change begins; one without was cut short, and nothing was changed for it.
RECORD = """# write down what is about to be changed
mkdir -p "$1" || exit 1
umask 077
ledger=$1/ledger.jsonl
if [ -s "$ledger" ] && [ -n "$(tail -c 1 "$ledger")" ]; then
	sed '$d' "$ledger" >"$ledger.new" && mv -f "$ledger.new" "$ledger" || exit 1
fi
cat >>"$ledger\"
"""
_STRIKE = 'printf "%s\\n" "$2" >>"$1"'


@dataclass(frozen=True)
class Entry:
    """One thing that macfleet changed. `undo` as argv, the way whoever logs in would type them (`sudo -n …` for root's).

    `by` is the command that did it ("provision", "enroll"); `time` is ISO, in UTC.
    """

    what: str
    undo: tuple[tuple[str, ...], ...]
    before: str
    by: str
    time: str

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "undo": [list(argv) for argv in self.undo], "before": self.before, "by": self.by, "time": self.time}


def entry_of(change: Change, by: str, time: str) -> Entry | None:
    """What must be written down before this change is made; None: it takes itself back, or nothing can."""
    if not change.undo:
        return None
    return Entry(change.what, tuple(_argv(undo) for undo in change.undo), change.before, by, time)


def record(paths: MacPaths, entries: Iterable[Entry]) -> Command:
    """Append these entries as root; each before its change is made."""
    content = "".join(f"{json.dumps(entry.as_json())}\n" for entry in entries).encode()
    return command("sh", "-c", RECORD, "sh", paths.state, stdin=content, sudo=True, timeout_s=30)


def ledger(paths: MacPaths) -> Fact[tuple[Entry, ...]]:
    """Everything that macfleet changed on this Mac and has not taken back, in the order of the changes. Asked as root."""

    def understand(results: Sequence[Result]) -> tuple[Entry, ...] | Unknown:
        if results[0].ok:
            return parse_ledger(results[0].stdout)
        return () if says(results[0], "No such file or directory") else Unknown(results[0].failure())

    return Fact("ledger", (command("cat", _file(paths), sudo=True, timeout_s=10),), understand)


def parse_ledger(text: str) -> tuple[Entry, ...]:
    """The entries that still count. A last line without its newline was never finished, and its change never begun."""
    *lines, _ = text.split("\n")
    counting: dict[str, Entry] = {}
    for number, line in enumerate(lines, 1):
        row = _row(line, number)
        if isinstance(row.get("undone"), str):
            counting.pop(row["undone"], None)
        else:
            entry = _entry(row, number)
            counting.setdefault(entry.what, entry)
    return tuple(counting.values())


def take_back(paths: MacPaths, entry: Entry) -> Command:
    """Run the undo of one entry and strike it out; a second time, after a line was cut in between, does no harm."""
    return command("sh", "-c", _script(paths, entry), timeout_s=UNDO_TIMEOUT_S)


def take_back_as_root(paths: MacPaths, entries: Sequence[Entry], *, then: str = ":") -> Command:
    """The undo of several entries as one root script: for those after which nobody may become root any more."""
    steps = [_script(paths, entry, is_root=True) for entry in entries]
    return command("sh", "-c", " && ".join([*steps, then]), sudo=True, timeout_s=UNDO_TIMEOUT_S)


def _script(paths: MacPaths, entry: Entry, *, is_root: bool = False) -> str:
    words = [argv[len(_SUDO) :] if is_root and argv[:2] == _SUDO and not argv[2].startswith("-") else argv for argv in entry.undo]
    struck = ("sh", "-c", _STRIKE, "sh", _file(paths), json.dumps({"undone": entry.what}))
    return " && ".join(shlex.join(argv) for argv in (*words, struck if is_root else (*_SUDO, *struck)))


def _argv(undo: Command) -> tuple[str, ...]:
    if undo.stdin is not None:
        raise ValueError(f"`{undo}` wants a stdin: a ledger keeps only words")
    return (*_SUDO, *undo.argv) if undo.sudo else undo.argv


def _row(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise unparsable("ledger.jsonl", f"line {number} is not JSON ({error})") from None
    if not isinstance(row, dict):
        raise unparsable("ledger.jsonl", f"line {number} is no entry")
    return row


def _entry(row: dict[str, Any], number: int) -> Entry:
    undo, texts = row.get("undo"), [row.get(key) for key in ("what", "before", "by", "time")]
    if not all(isinstance(text, str) for text in texts) or not isinstance(undo, list) or not all(map(_is_argv, undo)):
        raise unparsable("ledger.jsonl", f"line {number} is no entry")
    what, before, by, time = map(str, texts)
    return Entry(what, tuple(tuple(argv) for argv in undo), before, by, time)


def _is_argv(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)


def _file(paths: MacPaths) -> str:
    return f"{paths.state}/ledger.jsonl"
