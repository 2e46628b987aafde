"""From the inventory file to the `Inventory`; every mistake of the file is shown at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from macfleet.core.errors import InventoryError, RequestError
from macfleet.inventory.mac import Inventory
from macfleet.inventory.problems import problems_of
from macfleet.inventory.resolve import resolve
from macfleet.inventory.schema import InventoryFile
from macfleet.inventory.yaml_text import Problem, YamlText, read_yaml


def load_inventory(path: Path, text: str | None = None) -> Inventory:
    """The inventory in the file `path`, or in `text` as if it stood there.

    Raises InventoryError whose `what` is the first mistake ("inventory.yaml:14: macs/…: …") and whose `truths` are the
    others; RequestError when there is no such file.
    """
    source = read_yaml(_text_of(path) if text is None else text)
    if not isinstance(source.value, dict):
        nothing = Problem(1, (), 'this file holds no inventory; it starts with "macs:"')
        raise _refusal(path, source, [] if source.problems else [nothing])
    file, problems = _understand(source)
    if file is None:
        raise _refusal(path, source, problems)
    inventory, contradictions = resolve(file, source, path.absolute())
    if source.problems or problems or contradictions:
        raise _refusal(path, source, [*problems, *contradictions])
    return inventory


def _text_of(path: Path) -> str:
    hint = "name it with --inventory or MACFLEET_INVENTORY; `macfleet lab up` makes a rehearsal fleet with one"
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RequestError(f"there is no inventory at {_shown(path)}", hint=hint) from None
    except UnicodeDecodeError as error:
        raise InventoryError(f"{_shown(path)}:1: this is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from None
    except OSError as error:
        raise RequestError(f"cannot read the inventory {_shown(path)}: {error.strerror}", hint=hint) from None


def _understand(source: YamlText) -> tuple[InventoryFile | None, list[Problem]]:
    """The file's values, and what is wrong. Wrong entries are left out, so that the right ones are still checked together."""
    try:
        return InventoryFile.model_validate(source.value), []
    except ValidationError as error:
        problems = problems_of(error, InventoryFile, source)
    try:
        return InventoryFile.model_validate(_without(source.value, problems)), problems
    except ValidationError:
        return None, problems


def _without(value: dict[str, Any], problems: Sequence[Problem]) -> dict[str, Any]:
    broken = {problem.path[:2] for problem in problems} | {problem.path[:1] for problem in problems if problem.path[:1] == ("fleet",)}
    kept: dict[str, Any] = {}
    for section, entries in value.items():
        if (section,) in broken:
            continue
        kept[section] = (
            {name: entry for name, entry in entries.items() if (section, name) not in broken} if isinstance(entries, dict) else entries
        )
    return kept


def _refusal(path: Path, source: YamlText, problems: Sequence[Problem] = ()) -> InventoryError:
    own = [problem for problem in problems if not any(_follows(problem, cause) for cause in source.problems)]
    told = sorted([*source.problems, *own], key=lambda problem: problem.line)
    first, *others = [problem.at(_shown(path)) for problem in told]
    return InventoryError(first, truths=others, hint="`macfleet inventory check` looks again; inventory.example.yaml shows every key")


def _shown(path: Path) -> str:
    """As one would type it from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _follows(problem: Problem, cause: Problem) -> bool:
    """What could not be read is missing afterwards too; that is one mistake, not two."""
    return problem.line == cause.line and problem.path[: len(cause.path)] == cause.path
