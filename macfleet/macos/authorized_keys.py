"""`~/.ssh/authorized_keys`: whose keys an account lets in, and a line put there and taken away without touching another."""

from __future__ import annotations

from dataclasses import dataclass

from macfleet.core.command import Command, command
from macfleet.macos.answers import ask, unparsable
from macfleet.macos.files import file_state, file_text

DIRECTORY = ".ssh"  # from the home directory, where every SSH session begins
FILE = f"{DIRECTORY}/authorized_keys"

# The line goes in front: the old content stays behind it byte for byte, also without a newline at its end.
ADD = """# one more key, in front of those that are there
umask 077
mkdir -p "${1%/*}" || exit 1
new=$1.macfleet-new
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
if [ -e "$1" ]; then cp -p "$1" "$new" || exit 1; fi
{ printf '%s\\n' "$2"; if [ -e "$1" ]; then cat "$1"; fi; } >"$new" && mv -f "$new" "$1"
"""
# Others may have added keys meanwhile: only our line goes. What was not there before macfleet goes when nothing else is in it.
REMOVE = """# one key less
[ -e "$1" ] || exit 0
new=$1.macfleet-new
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
cp -p "$1" "$new" || exit 1
if [ "$(head -n 1 "$1")" = "$2" ]; then
	tail -n +2 "$1" >"$new" || exit 1
else
	grep -vxF -e "$2" "$1" >"$new"
	[ $? -le 1 ] || exit 1
fi
mv -f "$new" "$1" || exit 1
if [ "$3" != kept ] && [ ! -s "$1" ]; then rm -f "$1"; fi
if [ "$3" = all ]; then rmdir "${1%/*}" 2>/dev/null; fi
exit 0
"""


@dataclass(frozen=True)
class Listed:
    """What was there before: the home directory, whether it had ~/.ssh, the text of authorized_keys (None: no such file)."""

    home: str
    has_directory: bool
    text: str | None

    @property
    def path(self) -> str:
        return f"{self.home}/{FILE}"

    def holds(self, key: str) -> bool:
        """Whether a line lets this key in ("ssh-ed25519 AAAA…"), whatever its comment and its options."""
        kind, blob = key.split()[:2]
        lines = [line for line in (self.text or "").splitlines() if not line.lstrip().startswith("#")]
        return any(blob in line.split() and kind in line.split() for line in lines)


def parse_home(text: str) -> str:
    home = text.removesuffix("\n")
    if not home.startswith("/") or "\n" in home:
        raise unparsable("printenv HOME", f'"{home[:80]}" is not one path')
    return home.rstrip("/") or "/"


HOME = ask("home", command("printenv", "HOME", timeout_s=10), parse_home)
STATE = file_state(DIRECTORY)
TEXT = file_text(FILE)


def add(listed: Listed, line: str) -> Command:
    """Let this key in. As the account itself, so that the file is its own."""
    return command("sh", "-c", ADD, "sh", listed.path, line, timeout_s=20)


def remove(listed: Listed, line: str) -> Command:
    """Takes the line away again, and the file and the directory that `add` would have to make. As root: it may be the last act."""
    made = "kept" if listed.text is not None else "file" if listed.has_directory else "all"
    return command("sh", "-c", REMOVE, "sh", listed.path, line, made, sudo=True, timeout_s=20)
