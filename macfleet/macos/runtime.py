"""The workers' runtime on a Mac: which one is installed, and which one its jobs are started from.

`runtime.json` is written last by `provision`, so its presence means that the installation ended well.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property

from macfleet import __version__
from macfleet.core.command import command
from macfleet.core.errors import Unparsable
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import ask, parse_json_object, says, unparsable
from macfleet.macos.plist import parse_job_description

FILE_NAME = "runtime.json"
_ABSENT = "No such file or directory"


@dataclass(frozen=True)
class Runtime:
    """`id` names Python, packages and macfleet together: Macs with the same id run the same code."""

    id: str
    python: str
    macfleet: str
    lock_sha256: str
    wheel_sha256: str

    def __str__(self) -> str:
        return f"{self.id} (Python {self.python}, macfleet {self.macfleet})"

    def as_json(self) -> dict[str, str | int]:
        return {"schema": 1, **asdict(self)}

    def difference(self, other: Runtime) -> str:
        """What is another here than there, in words; empty when the two are the same."""
        pairs = {
            f"macfleet ({self.macfleet} instead of {other.macfleet})": self.macfleet != other.macfleet,
            f"Python ({self.python} instead of {other.python})": self.python != other.python,
            "set of packages": self.lock_sha256 != other.lock_sha256,
            "build of macfleet": self.macfleet == other.macfleet and self.wheel_sha256 != other.wheel_sha256,
        }
        return " and ".join(what for what, differs in pairs.items() if differs)


@dataclass(frozen=True)
class Broken:
    """Something is there, but it does not start or nobody understands it: an interrupted hand, or macOS took its Python away."""

    reason: str


@dataclass(frozen=True)
class Bundle:
    """What a controller brings along to make a runtime: the lock file (versions and hashes) and macfleet's own wheel."""

    lock: bytes
    wheel_name: str
    wheel: bytes = field(repr=False)

    @cached_property
    def wheel_sha256(self) -> str:
        return hashlib.sha256(self.wheel).hexdigest()

    @cached_property
    def lock_sha256(self) -> str:
        return hashlib.sha256(self.lock).hexdigest()

    def id(self, python: str) -> str:
        """Names one runtime: same Python, same packages, same macfleet, same id."""
        return hashlib.sha256("\n".join((python, self.lock_sha256, self.wheel_sha256)).encode()).hexdigest()[:12]

    def runtime(self, python: str) -> Runtime:
        """What stands on a Mac when this is installed with that Python."""
        return Runtime(self.id(python), python, __version__, self.lock_sha256, self.wheel_sha256)


def parse_runtime(text: str) -> Runtime:
    values = parse_json_object(FILE_NAME, text)
    if values.get("schema") != 1:
        raise unparsable(FILE_NAME, f"schema {values.get('schema')!r}, not 1")
    known = {name: values.get(name) for name in Runtime.__dataclass_fields__}
    for name, value in known.items():
        if not isinstance(value, str):
            raise unparsable(FILE_NAME, f"no {name}")
    return Runtime(**{name: str(value) for name, value in known.items()})


def runtime(paths: MacPaths) -> Fact[Runtime | Broken | None]:
    """The installed runtime, proved by starting its interpreter; None when there is none."""

    def understand(results: Sequence[Result]) -> Runtime | Broken | Unknown | None:
        said, started = results
        if not said.ok:
            return None if says(said, _ABSENT) else Unknown(said.failure())
        try:
            installed = parse_runtime(said.stdout)
        except Unparsable as error:  # the question was answered: another installation mends it
            return Broken(str(error))
        return installed if started.ok else Broken(started.failure())

    cat = command("cat", f"{paths.runtime}/{FILE_NAME}", timeout_s=10)
    # -I: a directory named macfleet in the user's home must not answer for the installed one.
    start = command(paths.python, "-I", "-c", "import macfleet", timeout_s=20)
    return Fact("runtime", (cat, start), understand)


def parse_starters(text: str) -> dict[str, str]:
    """Label → id of the runtime that the job is started from, of plists one after another. Jobs without one are left out."""
    before, *plists = text.split("<?xml")
    if before.strip():
        raise unparsable("cat", "something else than plists")
    jobs = [parse_job_description(f"<?xml{plist}") for plist in plists]
    found = {job.label: re.search(r"/runtimes/([0-9a-f]+)/", job.arguments[0]) for job in jobs if job.arguments}
    return {label: match[1] for label, match in found.items() if match}


def starters(paths: MacPaths) -> Fact[Mapping[str, str]]:
    """Which runtime each launchd job of macfleet is started from. A job keeps it, over restarts and reboots, as long as its plist stays."""
    folder, _, name = paths.plist("dev.macfleet.*").rpartition("/")
    question = command("find", folder, "-name", name, "-exec", "cat", "{}", "+", timeout_s=10)
    return ask("runtimes of jobs", question, parse_starters)


def complete(paths: MacPaths) -> Fact[frozenset[str]]:
    """The ids of all runtimes whose installation ended well, linked or not."""

    def understand(results: Sequence[Result]) -> frozenset[str] | Unknown:
        if not results[0].ok:
            return frozenset[str]() if says(results[0], _ABSENT) else Unknown(results[0].failure())
        return frozenset(re.findall(rf"/runtimes/([0-9a-f]+)/{re.escape(FILE_NAME)}$", results[0].stdout, re.MULTILINE))

    question = command("find", paths.runtimes, "-mindepth", "2", "-maxdepth", "2", "-name", FILE_NAME, timeout_s=10)
    return Fact("complete runtimes", (question,), understand)


def behind(starters: Mapping[str, str], runtime_id: str) -> tuple[str, ...]:
    """The services that are started from another runtime than this one: installing it has not touched them."""
    labels = (re.fullmatch(r"dev\.macfleet\.(.+)\.(?:worker|gateway)", label) for label, its in starters.items() if its != runtime_id)
    return tuple(sorted({label[1] for label in labels if label}))
