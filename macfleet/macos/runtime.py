"""`runtime.json`: which worker runtime is installed. Written last by `provision`, so its presence means the installation ended well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import parse_json_object, unparsable

FILE_NAME = "runtime.json"
_PROGRAM = "runtime.json"
# `cat` of a missing file and `sh` without the program; anything else is an interpreter that does not start.
_ABSENT = "No such file or directory"


@dataclass(frozen=True)
class Runtime:
    """`id` names Python, packages and macfleet together: Macs with the same id run the same code."""

    id: str
    python: str
    macfleet: str
    lock_sha256: str
    wheel_sha256: str

    def as_json(self) -> dict[str, str | int]:
        return {"schema": 1, **asdict(self)}


@dataclass(frozen=True)
class Broken:
    """The files say one thing, but the interpreter does not start: Homebrew or macOS took its Python away."""

    runtime: Runtime
    reason: str


def parse_runtime(text: str) -> Runtime:
    values = parse_json_object(_PROGRAM, text)
    if values.get("schema") != 1:
        raise unparsable(_PROGRAM, f"schema {values.get('schema')!r}, not 1")
    known = {name: values.get(name) for name in Runtime.__dataclass_fields__}
    if not all(isinstance(value, str) for value in known.values()):
        raise unparsable(_PROGRAM, "a key is missing")
    return Runtime(**{name: str(value) for name, value in known.items()})


def runtime(paths: MacPaths) -> Fact[Runtime | Broken | None]:
    """The installed runtime, proved by starting its interpreter; None when there is none."""

    def understand(results: Sequence[Result]) -> Runtime | Broken | Unknown | None:
        said, started = results
        if not said.ok:
            return None if _ABSENT in said.stderr else Unknown(said.failure())
        installed = parse_runtime(said.stdout)
        return installed if started.ok else Broken(installed, started.failure())

    cat = command("cat", f"{paths.runtime}/{FILE_NAME}", timeout_s=10)
    start = command(paths.python, "-c", "import macfleet", timeout_s=20)
    return Fact("runtime", (cat, start), understand)
