"""YAML as people mean it: every scalar is the text that was written, every value knows its line.

PyYAML's own reading turns `on` into true, `3.10` into 3.1, `22:30` into 1350 and keeps the last of two equal keys without a
word. Here only an empty value and `null` are special; pydantic turns texts into numbers and booleans where the schema wants
them. Anchors, aliases and tags are refused: groups carry what Macs share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map", "null")}
_NULLS = {"", "~", "null", "Null", "NULL"}
_DEEPEST = 40  # an inventory has six levels; a file with more is something else


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a text: its line (from 1), where in the document, and a sentence with the correction."""

    line: int
    path: Path
    text: str

    def at(self, file: str) -> str:
        """`inventory.yaml:14: macs/studio-1/wired_limit: "448" is not a size; write "448 GiB"`."""
        where = "/".join(str(step) for step in self.path)
        return f"{file}:{self.line}: {where}: {self.text}" if where else f"{file}:{self.line}: {self.text}"


@dataclass(frozen=True)
class YamlText:
    """The values of one YAML text and the line of each. With problems, `value` is what could be read of it."""

    value: Any
    lines: Mapping[Path, int]
    problems: tuple[Problem, ...] = ()

    def line(self, path: Path) -> int:
        """Where `path` stands, or the nearest thing around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: Path, text: str) -> Problem:
        return Problem(self.line(path), path, text)


def read_yaml(text: str) -> YamlText:
    """The one document in `text`. Never raises: what is wrong is in `problems`, and then all of it."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        return YamlText(None, {}, (Problem(line, (), _syntax_problem(error, text.splitlines()[line - 1 : line])),))
    except yaml.YAMLError as error:  # a control character, broken encoding
        return YamlText(None, {}, (Problem(1, (), f"this is not YAML: {str(error).splitlines()[0]}"),))
    except RecursionError:
        return YamlText(None, {}, (Problem(1, (), "this nests too deeply for an inventory"),))
    reader = _Reader()
    value = reader.read(node, ()) if node is not None else None
    return YamlText(value, reader.lines, tuple(reader.problems))


def _syntax_problem(error: yaml.MarkedYAMLError, line: list[str]) -> str:
    said = (error.problem or error.context or "").strip()
    if line and "\t" in line[0][: len(line[0]) - len(line[0].lstrip())]:
        return "a tab stands where YAML wants spaces; indent with spaces"
    if "mapping values are not allowed" in said:
        return "this is not YAML: a second `: ` on one line, or the line above is indented wrongly; quote a text that holds `: `"
    return f"this is not YAML: {said or error}"


@dataclass
class _Reader:
    """Walks the nodes of one document, collecting lines and problems."""

    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)

    def read(self, node: yaml.Node, path: Path) -> Any:
        line = self.lines.setdefault(path, node.start_mark.line + 1)  # the key's line, where there is one
        if id(node) in self._seen:
            return self._refuse(line, path, "anchors and aliases are not used here; put what Macs share in a group")
        self._seen.add(id(node))
        if node.tag not in _PLAIN_TAGS and node.tag != "!":
            return self._refuse(line, path, f"the tag {node.tag} is not used here; write the value without it")
        if len(path) > _DEEPEST:
            return self._refuse(line, path[:6], "this nests too deeply for an inventory")
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
            case yaml.ScalarNode():
                return None if not node.style and node.value in _NULLS else node.value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(line, path, "a key must be a single word")
                continue
            key = key_node.value
            if key == "<<" and not key_node.style:
                self._refuse(line, path, "merge keys (`<<`) are not used here; put what Macs share in a group")
                continue
            if key in values:
                self._refuse(line, (*path, key), f"this key stands twice; the first is on line {self.lines[(*path, key)]}")
                continue
            self.lines[(*path, key)] = line
            values[key] = self.read(value_node, (*path, key))
        return values

    def _refuse(self, line: int, path: Path, text: str) -> None:
        """Notes the problem; the value is then nothing."""
        self.problems.append(Problem(line, path, text))
