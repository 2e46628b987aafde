"""What of a Mac is macfleet's own, by its names: launchd jobs, directories, the weights in them."""

from __future__ import annotations

from collections.abc import Sequence
from posixpath import basename

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import says, unparsable

_KIB = 1024


def own_jobs(paths: MacPaths) -> Fact[tuple[str, ...]]:
    """The labels of all plists of macfleet, those of services too."""
    folder, _, pattern = paths.plist("dev.macfleet.*").rpartition("/")

    def understand(results: Sequence[Result]) -> tuple[str, ...] | Unknown:
        if not results[0].ok:
            return () if says(results[0], "No such file or directory") else Unknown(results[0].failure())
        return tuple(sorted(basename(line).removesuffix(".plist") for line in results[0].stdout.splitlines()))

    return Fact("own jobs", (command("find", folder, "-maxdepth", "1", "-name", pattern, timeout_s=10),), understand)


def own_directories(paths: MacPaths) -> Fact[tuple[str, ...]]:
    """Those of macfleet's own directories that are there: what it installed, its logs, its memory of the Mac."""
    own = (paths.home, paths.logs, paths.state)

    def understand(results: Sequence[Result]) -> tuple[str, ...] | Unknown:
        if not all(result.exit_status in (0, 1) for result in results):
            return Unknown(next(result.failure() for result in results if result.exit_status not in (0, 1)))
        return tuple(path for path, result in zip(own, results, strict=True) if result.ok)

    return Fact("own directories", tuple(command("test", "-e", path, timeout_s=10) for path in own), understand)


def weights(paths: MacPaths) -> Fact[tuple[tuple[str, int], ...]]:
    """The models in macfleet's directory, with their sizes in bytes."""

    def understand(results: Sequence[Result]) -> tuple[tuple[str, int], ...] | Unknown:
        rows = [line.split("\t", 1) for line in results[0].stdout.splitlines()]
        if not all(len(row) == 2 and row[0].strip().isascii() and row[0].strip().isdecimal() for row in rows):
            raise unparsable("du -sk", "a line is not a number and a path")
        return tuple(sorted((basename(path), int(kib) * _KIB) for kib, path in rows))

    du = command("find", paths.models, "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-exec", "du", "-sk", "{}", "+", timeout_s=60)
    return Fact("weights", (du,), understand)
