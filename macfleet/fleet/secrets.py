"""Where the inventory's secrets become `Secret`s: the environment, a file or a command of the controller."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from macfleet.core.errors import SecretMissing
from macfleet.core.secret import Secret
from macfleet.inventory.settings import SecretSource

_COMMAND_TIMEOUT_S = 60.0  # a password manager may ask for a fingerprint


def read_secret(source: SecretSource, base_dir: Path, *, environment: Mapping[str, str] | None = None) -> Secret:
    """The secret of `source`; relative paths and commands start at `base_dir`, the inventory's directory.

    Raises SecretMissing, which names the source and never shows what it gave.
    """
    match source:
        case SecretSource(env=str(name)):
            value = (os.environ if environment is None else environment).get(name, "")
        case SecretSource(file=str(name)):
            value = _first_line(source, base_dir / Path(name).expanduser())
        case SecretSource(command=tuple(words)):
            value = _output(source, words, base_dir)
        case _:
            raise SecretMissing("this secret has no source")
    value = value.strip()
    if not value:
        raise SecretMissing(f"{source} holds nothing", hint=_hint(source))
    if not value.isprintable():
        raise SecretMissing(f"{source} holds something that is not one line of text", hint=_hint(source))
    return Secret(value)


def _first_line(source: SecretSource, path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SecretMissing(f"{source} cannot be read: {error.strerror}", truths=[f"looked at {path}"], hint=_hint(source)) from None
    except UnicodeDecodeError:
        raise SecretMissing(f"{source} is not a text", hint=_hint(source)) from None
    return lines[0] if lines else ""


def _output(source: SecretSource, words: tuple[str, ...], base_dir: Path) -> str:
    try:
        # Its stderr stays on the terminal: a password manager asks there. Its stdout is the secret and goes nowhere else.
        done = subprocess.run(words, cwd=base_dir, stdout=subprocess.PIPE, timeout=_COMMAND_TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise SecretMissing(f"{source} was not found on this machine", hint=_hint(source)) from None
    except OSError as error:
        raise SecretMissing(f"{source} could not be started: {error.strerror}", hint=_hint(source)) from None
    except subprocess.TimeoutExpired:
        raise SecretMissing(f"{source} gave no answer within {_COMMAND_TIMEOUT_S:.0f} s", hint=_hint(source)) from None
    if done.returncode != 0:
        raise SecretMissing(f"{source} ended with {done.returncode}", hint=_hint(source))
    return done.stdout.decode("utf-8", errors="replace")


def _hint(source: SecretSource) -> str:
    match source:
        case SecretSource(env=str(name)):
            return f"set it: export {name}=…"
        case SecretSource(file=str(name)):
            return f"write the secret into the first line of {name}, readable by you alone (chmod 600)"
    return "run it in a terminal and look what it says; its output must be the secret alone"
