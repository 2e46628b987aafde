"""`line`: one line in a file that belongs to somebody else; all other lines stay as they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from macfleet.core.change import Change, Diff
from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.files import FileState, absent_directories, file_state, file_text
from macfleet.modules.base import Surroundings
from macfleet.modules.files import AbsolutePath, keep, kept, shown_difference, undo_directories, undo_file, write

# Whole again where nobody else wrote there since: to the last byte. Else only our line gives way, and what stood there comes back.
# 1 file, 2 its copy or nothing, 3 owner, 4 digest of what we wrote, 5 our line or nothing, 6 the lines it took the place of.
_TAKE_BACK = """# take a line back
[ -e "$1" ] || exit 0
case $(shasum -a 256 "$1") in
"$4 "*)
	[ -n "$2" ] || exec rm -f "$1"
	cp -pR "$2" "$1.macfleet-new" && chown -h "$3" "$1.macfleet-new" && mv -f "$1.macfleet-new" "$1"
	exit;;
esac
if [ -n "$5" ]; then grep -qxF -e "$5" "$1" || exit 0; else grep -qxF -e "$6" "$1" && exit 0; fi
umask 077
OURS=$5 THEIRS=$6 awk '
BEGIN { theirs = ENVIRON["THEIRS"]; ours = ENVIRON["OURS"] }
ours != "" && $0 == ours { if (theirs != "") print theirs; theirs = ""; next }
{ print }
END { if (ours == "" && theirs != "") print theirs }' "$1" >"$1.macfleet-new" && cat "$1.macfleet-new" >"$1"
status=$?
rm -f "$1.macfleet-new"
exit $status"""
_NEW_MODE, _NEW_OWNER = "644", "root:wheel"


class LineArgs(Strict):
    path: AbsolutePath = Field(description="The file; a missing one is made, mode 644 of root:wheel, and one that is there keeps its own")
    line: str = Field(description="The whole line, without its end")
    instead_of: str | None = Field(None, description="A regular expression: lines in which it is found give way to this one")
    state: Literal["present", "absent"] = Field("present", description="`absent`: no such line, nor one that `instead_of` finds")
    private: bool = Field(False, description="Only root may read the file: it is read as root, and never shown")

    @field_validator("line")
    @classmethod
    def _is_one_line(cls, line: str) -> str:
        if "\n" in line or not line:
            raise ValueError("this is not one line")
        return line

    @field_validator("instead_of")
    @classmethod
    def _is_an_expression(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f'"{pattern}" is not a regular expression: {error}') from None
        return pattern

    def edited(self, text: str) -> str:
        """The text as wanted. The new line stands where the first one that gives way stood, else at the end."""
        lines = text.removesuffix("\n").split("\n") if text else []  # splitlines() would also split at a form feed
        places = [index for index, line in enumerate(lines) if line == self.line or (self.instead_of and re.search(self.instead_of, line))]
        kept = [line for index, line in enumerate(lines) if index not in places]
        if self.state == "present":
            kept.insert(places[0] if places else len(kept), self.line)
        return text if kept == lines else "".join(f"{line}\n" for line in kept)


class Line:
    name = "line"
    Args = LineArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
line:
  path: "{{ mac.paths.at('/etc/ssh/sshd_config.d/200-fleet.conf') }}"
  line: PasswordAuthentication no
  instead_of: "^#?PasswordAuthentication "
"""

    def facts(self, args: LineArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (_state(args), _text(args), absent_directories((args.path,)))

    def diff(self, args: LineArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        have, text, absent = facts[_state(args)], facts[_text(args)], facts[absent_directories((args.path,))]
        if isinstance(have, Unknown) or isinstance(text, Unknown):
            return [item for item in (have, text) if isinstance(item, Unknown)]
        if have is not None and have.sha256 != hashlib.sha256((text or "").encode()).hexdigest():
            return (Unknown(f"{mac.paths.shown(args.path)} is not plain text, or was written while it was read"),)
        want = args.edited(text or "")
        if want == (text or ""):
            return ()
        return (_change(mac, args, have, text, want, absent),)


def _state(args: LineArgs) -> Fact[FileState | None]:
    return file_state(args.path, sudo=args.private)


def _text(args: LineArgs) -> Fact[str | None]:
    return file_text(args.path, sudo=args.private)


def _change(mac: Mac, args: LineArgs, have: FileState | None, text: str | None, want: str, absent: tuple[str, ...] | Unknown) -> Change:
    mode, owner = (f"{have.mode:o}", f"{have.owner}:{have.group}") if have else (_NEW_MODE, _NEW_OWNER)
    gone = [line for line in (text or "").split("\n") if line not in want.split("\n")]
    shown = "" if args.private else shown_difference(mac, args.path, mode, want.encode(), have, text)
    what = f"line {args.line!r} in" if shown or not args.private else "a line in"
    return Change(
        f"{what} {mac.paths.shown(args.path)}",
        "other line" if gone and args.state == "present" else "absent" if args.state == "present" else "present",
        args.state,
        (*keep(mac, args.path, have), *write(args.path, want.encode(), mode, owner)),
        undo=(*_take_back(mac, args, have, want, gone), *undo_directories(absent)),
        detail=shown,
    )


def _take_back(mac: Mac, args: LineArgs, have: FileState | None, want: str, gone: Sequence[str]) -> tuple[Command, ...]:
    if args.private:  # whose lines stand in no argv: `ps` shows those to everybody
        return undo_file(mac, args.path, have)
    copy, owner = (kept(mac, args.path, have), f"{have.owner}:{have.group}") if have else ("", _NEW_OWNER)
    ours, wrote = (args.line if args.state == "present" else ""), hashlib.sha256(want.encode()).hexdigest()
    words = (args.path, copy, owner, wrote, ours, "\n".join(gone))
    return (command("sh", "-c", _TAKE_BACK, "sh", *words, sudo=True, timeout_s=60),)
