"""`runtime`: the Python of the workers, installed by uv from the pushed lock file and wheel, in a directory named by its content.

Built aside and linked at the end, so a Mac has the old runtime or the new one, never half of one. `runtime.json` is written
last: where it stands, everything before it went well.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from macfleet.core.change import Change, Diff
from macfleet.core.command import Command, command
from macfleet.core.errors import RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import PythonVersion, Strict
from macfleet.macos.files import write_file
from macfleet.macos.runtime import FILE_NAME, Broken, Bundle, Runtime, behind, complete, runtime, starters
from macfleet.modules.base import Surroundings
from macfleet.modules.files import AbsolutePath

_DOWNLOAD_TIMEOUT_S = 1800  # packages of some hundred MB over an office line
# The first line of a script is what an error shows of it.
# Its cache of some GB stays out of the user's home, unless the user has a place for it.
_UV = """UV_CACHE_DIR=${UV_CACHE_DIR:-$0} exec "$@\""""
_EMPTY = """# remove what is in a directory
[ ! -d "$1" ] || find "$1" -mindepth 1 -delete"""
_ANY_INDEX = ("--index-strategy", "unsafe-best-match")


class RuntimeArgs(Strict):
    python: PythonVersion = Field(description="Major and minor, like 3.12")
    wheelhouse: str | None = Field(
        None, description="Where the packages lie when there is no internet: a directory on the Mac, or a URL that it reaches"
    )
    python_mirror: str | None = Field(
        None, description="Where the Python lies when there is no internet: a URL that it reaches, or file:///DIRECTORY on the Mac"
    )

    uv: AbsolutePath | None = Field(None, description="A uv that is on the Mac already; without it the one that Homebrew has brought")

    @field_validator("wheelhouse")
    @classmethod
    def _is_somewhere(cls, place: str | None) -> str | None:
        if place is not None and not place.startswith(("/", "http://", "https://")):
            raise ValueError(f'"{place}" is neither an absolute path on the Mac nor a URL')
        return place

    @field_validator("python_mirror")
    @classmethod
    def _is_a_url(cls, place: str | None) -> str | None:
        if place is not None and not place.startswith(("file:///", "http://", "https://")):
            raise ValueError(f'"{place}" is not a URL; a directory on the Mac is file:///DIRECTORY')
        return place


class RuntimeModule:
    name = "runtime"
    Args = RuntimeArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = 'runtime: {python: "3.12"}'

    def facts(self, args: RuntimeArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (runtime(mac.paths), starters(mac.paths), complete(mac.paths))

    def diff(self, args: RuntimeArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        if around.bundle is None:
            raise RequestError("the controller brought no runtime along", mac=mac.name)
        have, want = facts[runtime(mac.paths)], around.bundle.runtime(args.python)
        if isinstance(have, Unknown):
            return (have,)
        if have == want:
            return ()
        there, jobs = facts[complete(mac.paths)], facts[starters(mac.paths)]
        # Made once and never again: a job may run from it. A broken one runs nothing, and may be the one that is linked.
        is_made = not isinstance(have, Broken) and not isinstance(there, Unknown) and want.id in there
        commands = (*(() if is_made else _make(mac, args, want, around.bundle)), *_link(mac, want.id))
        if not isinstance(jobs, Unknown):  # else nobody knows what is still needed, and all stays
            linked = {have.id} if isinstance(have, Runtime) else set()
            commands += (_prune(mac, {want.id, *linked, *jobs.values()}),)
        return (Change("runtime", _shown(have), str(want) + _staying(jobs, want), commands, undo=_undo(mac, have)),)


def _shown(have: Runtime | Broken | None) -> str:
    match have:
        case None:
            return "absent"
        case Broken(reason=reason):
            return f"broken ({reason})"
    return str(have)


def _staying(jobs: Mapping[str, str] | Unknown, want: Runtime) -> str:
    """Said in the plan: what runs is not changed by it."""
    if isinstance(jobs, Unknown):
        return ""
    services = behind(jobs, want.id)
    return f"; {', '.join(services)}: as before until deployed again" if services else ""


def _make(mac: Mac, args: RuntimeArgs, want: Runtime, bundle: Bundle) -> tuple[Command, ...]:
    directory = mac.paths.runtime_of(want.id)
    python, lock, wheel = mac.paths.python_of(want.id), f"{directory}/requirements.lock", f"{directory}/{bundle.wheel_name}"
    return (
        _uv(mac, args, "venv", "--clear", "--python", want.python, directory, timeout_s=600),
        *write_file(lock, bundle.lock),
        *write_file(wheel, bundle.wheel),
        # Every package is pinned by hash, so a Mac with several indexes may take it from whichever has it.
        _uv(mac, args, "pip", "sync", "--require-hashes", *_packages(args), "--python", python, lock, timeout_s=_DOWNLOAD_TIMEOUT_S),
        _uv(mac, args, "pip", "install", "--no-deps", "--python", python, wheel, timeout_s=120),
        command(python, "-c", "import mlx.core, zmq, macfleet.worker", timeout_s=60),
        *write_file(f"{directory}/{FILE_NAME}", (json.dumps(want.as_json(), indent=2) + "\n").encode()),
    )


def _packages(args: RuntimeArgs) -> tuple[str, ...]:
    return _ANY_INDEX if args.wheelhouse is None else ("--no-index", "--find-links", args.wheelhouse)


def _link(mac: Mac, runtime_id: str) -> tuple[Command, ...]:
    # -n: the link itself is replaced, not something made inside the directory it leads to.
    return (command("ln", "-sfn", mac.paths.runtime_of(runtime_id), mac.paths.runtime, sudo=True, timeout_s=10),)


def _undo(mac: Mac, have: Runtime | Broken | None) -> tuple[Command, ...]:
    """The runtime before is linked again. Where there was none, every one goes, with the Pythons that uv brought for them."""
    if isinstance(have, Runtime):
        return _link(mac, have.id)
    if have is not None:
        return ()  # nobody wants a broken one back
    empty = (_empty(mac.paths.runtimes), _empty(f"{mac.paths.home}/python"))
    return (command("rm", "-f", mac.paths.runtime, sudo=True, timeout_s=10), *empty)


def _empty(directory: str) -> Command:
    return command("sh", "-c", _EMPTY, "sh", directory, sudo=True, timeout_s=300)


def _prune(mac: Mac, keep: Collection[str]) -> Command:
    """Runtimes are some GB each: the new one stays, the one before it, and every one that a launchd job is started from."""
    names = [word for name in sorted(keep) for word in ("!", "-name", name)]
    return command(
        "find", mac.paths.runtimes, "-mindepth", "1", "-maxdepth", "1", "-type", "d", *names, "-exec", "rm", "-rf", "{}", "+", timeout_s=300
    )


def _uv(mac: Mac, args: RuntimeArgs, *words: str, timeout_s: float) -> Command:
    """uv keeps the Pythons it downloads beside the runtimes: a runtime must not depend on somebody's home directory."""
    place, mirror = f"{mac.paths.home}/python", args.python_mirror
    wanted = (f"UV_PYTHON_INSTALL_DIR={place}", "UV_NO_PROGRESS=1", *([f"UV_PYTHON_INSTALL_MIRROR={mirror}"] if mirror else []))
    return command("env", *wanted, "sh", "-c", _UV, f"{place}/cache", args.uv or "uv", *words, timeout_s=timeout_s)
