"""Files on a Mac: what is there, and how to write one so that nobody ever sees half of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.macos.answers import says, unparsable

_ABSENT = "No such file or directory"
# What could not be written whole does not stay: half a secret, or the last free megabyte of a full disk.
WRITE = """umask 077
trap 'rm -f "$1"; exit 1' HUP INT TERM
cat > "$1" || { rm -f "$1"; exit 1; }"""


@dataclass(frozen=True)
class FileState:
    """`mode` like 0o644. `sha256` None: a directory, or not readable by who asked."""

    mode: int
    owner: str
    group: str
    size_bytes: int
    sha256: str | None = None


def parse_stat(text: str) -> FileState:
    """One line of `stat -f '%Lp %Su %Sg %z'`, BSD's: "644 root wheel 512"."""
    match = re.fullmatch(r"([0-7]{1,5}) (\S+) (\S+) (\d{1,19})\s*", text)
    if match is None:
        raise unparsable("stat -f", f'"{text.strip()[:80]}" is not mode, owner, group, size')
    return FileState(int(match[1], 8), match[2], match[3], int(match[4]))


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
        sha256 = parse_shasum(digest.stdout) if digest.ok else None
        return FileState(state.mode, state.owner, state.group, state.size_bytes, sha256)

    stat = command("stat", "-f", "%Lp %Su %Sg %z", path, sudo=sudo, timeout_s=10)
    digest = command("shasum", "-a", "256", path, sudo=sudo, timeout_s=60)
    return Fact(f"file {path}", (stat, digest), understand)


def file_text(path: str, *, sudo: bool = False) -> Fact[str | None]:
    """The text at `path`; None when there is no such file."""

    def understand(results: Sequence[Result]) -> str | Unknown | None:
        if results[0].ok:
            return results[0].stdout
        return None if says(results[0], _ABSENT) else Unknown(results[0].failure())

    return Fact(f"text of {path}", (command("cat", path, sudo=sudo, timeout_s=10),), understand)


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
