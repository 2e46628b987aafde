"""Playbooks as files: those that travel with macfleet, by name, and the operators' own, by path, with the templates beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from macfleet.core.data import data_path
from macfleet.core.errors import PlaybookError, RequestError
from macfleet.core.near import did_you_mean
from macfleet.inventory.mac import Mac
from macfleet.inventory.yaml_text import Problem
from macfleet.playbook.check import problems_of_templates
from macfleet.playbook.load import GIVEN, Playbook, load_playbook
from macfleet.playbook.plan import fill_tasks
from macfleet.playbook.variables import give, missing


@dataclass(frozen=True)
class PlaybookFile:
    """A playbook and the templates that it may use: macfleet's, and those in `templates/` beside it, which come first."""

    path: Path
    playbook: Playbook
    templates: Mapping[str, str]

    @property
    def is_ours(self) -> bool:
        return self.path.parent == data_path("playbooks")

    @property
    def about(self) -> str:
        """What its author says of it: the comment that the file begins with, in one line."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        count = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
        return " ".join(line.lstrip("# ").rstrip() for line in lines[:count])


def open_playbook(name: str, given: Mapping[str, str] | None = None) -> PlaybookFile:
    """`rdma-network` is one that travels with macfleet; `./mine.yaml`, or `mine.yaml` where it is, one of the operator's own.

    `given` are values for its vars. Raises PlaybookError with every mistake that can be seen without a Mac, RequestError when
    there is no such file.
    """
    path = _find(name)
    try:
        playbook = load_playbook(path.read_text(encoding="utf-8"), _shown(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"cannot read the playbook {path}: {getattr(error, 'strerror', None) or 'this is no text'}") from error
    file = PlaybookFile(path, give(playbook, given) if given else playbook, read_templates(path.parent))
    refuse(_shown(path), problems_of_templates(file.playbook, file.templates))
    return file


def our_playbooks() -> list[PlaybookFile]:
    """Those that travel with macfleet, by name."""
    return [open_playbook(path.stem) for path in sorted(data_path("playbooks").glob("*.yaml"))]


def read_templates(beside: Path | None = None) -> dict[str, str]:
    """Name → text of every template that travels with macfleet, and of those in `templates/` in the directory `beside`."""
    folders = [data_path("templates"), *([beside / "templates"] if beside else [])]
    return {path.name: path.read_text(encoding="utf-8") for folder in folders for path in sorted(folder.glob("*.j2"))}


def check_on(playbook: Playbook, macs: Iterable[Mac]) -> list[PlaybookError]:
    """What is wrong with the playbook for one of these Macs, with their values in it; each mistake once, with the first Mac."""
    found: dict[str, PlaybookError] = {}
    if missing(playbook):  # has to be given for a run: nothing can be filled yet
        return []
    for mac in macs:
        try:
            fill_tasks(playbook, mac, dict.fromkeys(GIVEN, "000000000000"))
        except PlaybookError as error:
            file, line, path, *_ = f"{error.what}::".split(":")  # the values in the sentence differ from Mac to Mac
            found.setdefault(f"{file}:{line}:{path}", error)
    return list(found.values())


def refuse(name: str, problems: Iterable[Problem]) -> None:
    """Raises PlaybookError when there are any."""
    said = [problem.at(name) for problem in sorted(problems, key=lambda problem: problem.line)]
    if said:
        raise PlaybookError(said[0], truths=said[1:])


def _find(name: str) -> Path:
    path = Path(name)
    if "/" in name or (path.suffix in (".yaml", ".yml") and path.is_file()):
        if path.is_file():
            return path.absolute()
        raise RequestError(f"there is no playbook at {path}")
    ours = data_path("playbooks") / (path.name if path.suffix else f"{name}.yaml")
    if ours.is_file():
        return ours
    known = [found.stem for found in sorted(data_path("playbooks").glob("*.yaml"))]
    raise RequestError(
        f'there is no playbook "{name}"', hint=f"{did_you_mean(path.stem, known)} (one of your own: write its path, ./{name})"
    )


def _shown(path: Path) -> str:
    """How messages call the file: as the operator would, from where they are."""
    if path.parent == data_path("playbooks"):
        return path.name
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
