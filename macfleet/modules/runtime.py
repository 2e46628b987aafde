"""`runtime`: the Python of the workers, installed by uv from the pushed lock file and wheel, in a directory named by its content.

Built aside and linked at the end, so a Mac has the old runtime or the new one, never half of one. `runtime.json` is written
last: where it stands, everything before it went well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from macfleet.core.change import Change, Diff
from macfleet.core.command import Command, command
from macfleet.core.errors import RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.files import write_file
from macfleet.macos.runtime import FILE_NAME, Broken, Bundle, Runtime, runtime
from macfleet.modules.base import Surroundings

_DOWNLOAD_TIMEOUT_S = 1800  # packages of some hundred MB over an office line
_ANY_INDEX = ("--index-strategy", "unsafe-best-match")


class RuntimeArgs(Strict):
    python: str


class RuntimeModule:
    name = "runtime"
    Args = RuntimeArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = 'runtime: {python: "3.12"}'

    def facts(self, args: RuntimeArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (runtime(mac.paths),)

    def diff(self, args: RuntimeArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        if around.bundle is None:
            raise RequestError("the controller brought no runtime along", mac=mac.name)
        have, want = facts[runtime(mac.paths)], around.bundle.runtime(args.python)
        match have:
            case Unknown():
                return (have,)
            case Runtime() if have == want:
                return ()
            case Broken(reason=reason):
                before = f"broken ({reason})"
            case Runtime():
                before = str(have)
            case _:
                before = "absent"
        linked = have.id if isinstance(have, Runtime) else None
        return (Change("runtime", before, str(want), _install(mac, want, around.bundle, linked)),)


def _install(mac: Mac, want: Runtime, bundle: Bundle, before: str | None) -> tuple[Command, ...]:
    directory = f"{mac.paths.home}/runtimes/{want.id}"
    python, lock, wheel = f"{directory}/bin/python", f"{directory}/requirements.lock", f"{directory}/{bundle.wheel_name}"
    return (
        _uv(mac, "venv", "--clear", "--python", want.python, directory, timeout_s=600),
        *write_file(lock, bundle.lock),
        *write_file(wheel, bundle.wheel),
        # Every package is pinned by hash, so a Mac with several indexes may take it from whichever has it.
        _uv(mac, "pip", "sync", "--require-hashes", *_ANY_INDEX, "--python", python, lock, timeout_s=_DOWNLOAD_TIMEOUT_S),
        _uv(mac, "pip", "install", "--no-deps", "--python", python, wheel, timeout_s=120),
        command(python, "-c", "import mlx.core, zmq, macfleet.worker", timeout_s=60),
        *write_file(f"{directory}/{FILE_NAME}", (json.dumps(want.as_json(), indent=2) + "\n").encode()),
        # -n: the link itself is replaced, not something made inside the directory it leads to.
        command("ln", "-sfn", directory, mac.paths.runtime, sudo=True, timeout_s=10),
        _prune(mac, keep=[want.id, *([before] if before else [])]),
    )


def _prune(mac: Mac, keep: Sequence[str]) -> Command:
    """Runtimes are some GB each: the new one stays, and the one before it, which running workers still read from."""
    names = [word for name in keep for word in ("!", "-name", name)]
    folder = f"{mac.paths.home}/runtimes"
    return command("find", folder, "-mindepth", "1", "-maxdepth", "1", "-type", "d", *names, "-exec", "rm", "-rf", "{}", "+", timeout_s=300)


def _uv(mac: Mac, *arguments: str, timeout_s: float) -> Command:
    """uv keeps the Pythons it downloads beside the runtimes: a runtime must not depend on somebody's home directory."""
    return command("env", f"UV_PYTHON_INSTALL_DIR={mac.paths.home}/python", "UV_NO_PROGRESS=1", "uv", *arguments, timeout_s=timeout_s)
