"""Files on a Mac: what is there, and how to write one so that nobody ever sees half of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.macos.answers import says, unparsable

_ABSENT = "No such file or directory"
_FORMAT = "%Lp %Su %Sg %z %HT"
# What could not be written whole does not stay: half a secret, or the last free megabyte of a full disk.
WRITE = """umask 077
trap 'rm -f "$1"; exit 1' HUP INT TERM
cat > "$1" || { rm -f "$1"; exit 1; }"""


# The first line of a script is what an error shows of it.
_KEEP = """# keep a copy, unless one is kept already
[ -e "$1" ] || [ -L "$1" ] || exit 0
[ -e "$2" ] || [ -L "$2" ] && exit 0
cp -pR "$1" "$2.new" && mv -f "$2.new" "$2" && exit 0
rm -rf "$2.new"
exit 1"""
_REMOVE_IF_EMPTY = """# rmdir, when nothing is in it
[ ! -d "$1" ] || [ -n "$(ls -A "$1")" ] || rmdir "$1\""""
# Of a longer file nobody reads a difference.
_TEXT_BYTES = 65536


@dataclass(frozen=True)
class FileState:
    """`mode` like 0o644. `sha256` None: a directory, or not readable by who asked. `kind` "Regular File", "Directory", …"""

    mode: int
    owner: str
    group: str
    size_bytes: int
    sha256: str | None = None
    kind: str = ""

    @property
    def is_directory(self) -> bool:
        return self.kind == "Directory"

    @property
    def is_for_everybody(self) -> bool:
        """Any user of the Mac may read it."""
        return bool(self.mode & 0o004)


def parse_stat(text: str) -> FileState:
    """One line of `stat -f '%Lp %Su %Sg %z %HT'`, BSD's: "644 root wheel 512 Regular File"."""
    match = re.fullmatch(r"([0-7]{1,5}) (\S+) (\S+) (\d{1,19})(?: ([A-Z][A-Za-z ]*))?\s*", text)
    if match is None:
        raise unparsable("stat -f", f'"{text.strip()[:80]}" is not mode, owner, group, size')
    return FileState(int(match[1], 8), match[2], match[3], int(match[4]), kind=(match[5] or "").strip())


def parse_shasum(text: str) -> str:
    match = re.match(r"\\?([0-9a-f]{64})\s", text)  # the backslash marks an escaped file name
    if match is None:
        raise unparsable("shasum", "no SHA-256 at its beginning")
    return match[1]


def file_state(path: str, *, sudo: bool = False) -> Fact[FileState | None]:
    """What is at `path`; None when nothing is. `sudo` for what only root may read."""

    def understand(results: Sequence[Result]) -> FileState | Unknown | None:
        stat, digest = results
        if not stat.ok:
            return None if says(stat, _ABSENT) else Unknown(stat.failure())
        state = parse_stat(stat.stdout)
        return replace(state, sha256=parse_shasum(digest.stdout) if digest.ok else None)

    stat = command("stat", "-f", _FORMAT, path, sudo=sudo, timeout_s=10)
    digest = command("shasum", "-a", "256", path, sudo=sudo, timeout_s=60)
    return Fact(f"file {path}", (stat, digest), understand)


def file_text(path: str, *, sudo: bool = False) -> Fact[str | None]:
    """The text at `path`; None when there is no such file."""

    def understand(results: Sequence[Result]) -> str | Unknown | None:
        if results[0].ok:
            return results[0].stdout
        return None if says(results[0], _ABSENT) else Unknown(results[0].failure())

    return Fact(f"text of {path}", (command("cat", path, sudo=sudo, timeout_s=10),), understand)


def directory_state(path: str) -> Fact[FileState | None]:
    """The directory at `path`, also behind a link: models may lie on another volume; None when nothing is there."""

    def understand(results: Sequence[Result]) -> FileState | Unknown | None:
        if results[0].ok:
            return parse_stat(results[0].stdout)
        return None if says(results[0], _ABSENT) else Unknown(results[0].failure())

    return Fact(f"directory {path}", (command("stat", "-L", "-f", _FORMAT, path, timeout_s=10),), understand)


def text_to_compare(path: str) -> Fact[str | None]:
    """The beginning of the text at `path`, for a person who compares; None when there is nothing to show."""

    def understand(results: Sequence[Result]) -> str | None:
        text = results[0].stdout
        return text if results[0].ok and len(text) < _TEXT_BYTES and "\ufffd" not in text and "\0" not in text else None

    return Fact(f"beginning of {path}", (command("head", "-c", str(_TEXT_BYTES), path, timeout_s=10),), understand)


def absent_directories(paths: Sequence[str]) -> Fact[tuple[str, ...]]:
    """The directories above these paths that are not there yet, the outermost first: who makes one may take it away again."""
    above = tuple(dict.fromkeys(str(parent) for path in paths for parent in reversed(PurePosixPath(path).parents) if parent.name))

    def understand(results: Sequence[Result]) -> tuple[str, ...] | Unknown:
        if results[0].exit_status not in (0, 1):  # 1: something is not there; anything else says nothing of any of them
            return Unknown(results[0].failure())
        complaints = [line for line in results[0].stderr.splitlines() if line.rstrip().endswith(_ABSENT)]
        return tuple(path for path in above if any(line.startswith(f"stat: {path}: ") for line in complaints))

    return Fact(f"directories above {' '.join(paths)}", (command("stat", "-f", "%N", *above, timeout_s=10),), understand)


def real_path(path: str) -> Fact[str | None]:
    """The file behind all links; None where nothing is."""

    def understand(results: Sequence[Result]) -> str | None:
        said = results[0].stdout.strip()
        return said if results[0].ok and said.startswith("/") else None

    return Fact(f"file behind {path}", (command("readlink", "-f", path, timeout_s=10),), understand)


def write_file(path: str, content: bytes | Secret, mode: int = 0o644, owner: str | None = None, sudo: bool = False) -> tuple[Command, ...]:
    """Commands that put `content` at `path` at once: a temporary neighbour, made private before anything is in it, then renamed.

    `owner` like "root:wheel". The content travels by stdin, so a Secret is in no argv.
    """
    neighbour = f"{path}.macfleet-new"
    write = command("sh", "-c", WRITE, "sh", neighbour, stdin=content, sudo=sudo, timeout_s=60)
    give = (command("chown", owner, neighbour, sudo=sudo, timeout_s=10),) if owner else ()
    return (
        write,
        command("chmod", f"{mode:o}", neighbour, sudo=sudo, timeout_s=10),
        *give,
        command("mv", "-f", neighbour, path, sudo=sudo, timeout_s=10),
    )


def make_directory(path: str, mode: int = 0o755, owner: str | None = None, sudo: bool = False) -> tuple[Command, ...]:
    give = (command("chown", owner, path, sudo=sudo, timeout_s=10),) if owner else ()
    return (
        command("mkdir", "-p", path, sudo=sudo, timeout_s=10),
        command("chmod", f"{mode:o}", path, sudo=sudo, timeout_s=10),
        *give,
    )


def remove_file(path: str, sudo: bool = False) -> tuple[Command, ...]:
    return (command("rm", "-f", path, sudo=sudo, timeout_s=10),)


def keep_copy(path: str, kept: str) -> tuple[Command, ...]:
    """Keep what is at `path` at `kept`, readable by root only. The first copy stays: it is the one from before."""
    folder = kept.rpartition("/")[0]
    return (
        command("mkdir", "-p", folder, sudo=True, timeout_s=10),
        command("chmod", "700", folder, sudo=True, timeout_s=10),
        command("sh", "-c", _KEEP, "sh", path, kept, sudo=True, timeout_s=60),
    )


def put_back(path: str, kept: str, owner: str) -> tuple[Command, ...]:
    """What was at `path`, from its copy, at once and with its mode, owner and times."""
    neighbour = f"{path}.macfleet-new"
    return (
        command("cp", "-pR", kept, neighbour, sudo=True, timeout_s=60),
        command("chown", "-h", owner, neighbour, sudo=True, timeout_s=10),
        command("mv", "-f", neighbour, path, sudo=True, timeout_s=10),
    )


def remove_if_empty(path: str) -> Command:
    """Removes the directory; one in which something lies meanwhile stays, and that is no error."""
    return command("sh", "-c", _REMOVE_IF_EMPTY, "sh", path, sudo=True, timeout_s=10)
