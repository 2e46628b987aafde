"""Functions that a client offers to the model, and the calls that come back. Pure; how a model writes a call is its parser's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

Tool = Mapping[str, Any]  # as the client sent it: {"type": "function", "function": {"name", "description", "parameters"}}
# The text of one call and the tools on offer → {"name", "arguments", maybe "id"}, or a list of those. Raises whatever it likes.
ParseCall = Callable[[str, Any], Any]


@dataclass(frozen=True)
class ToolCall:
    """One call. `arguments` is JSON text, as the model wrote it and OpenAI's clients expect it."""

    id: str
    name: str
    arguments: str

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


class CallReader:
    """Reads the calls of one answer; `prefix` makes their ids unique. `most`: how many one answer may make; None: any number."""

    def __init__(self, parse: ParseCall, tools: Sequence[Tool], prefix: str, most: int | None = None):
        self._parse = parse
        self._tools = [dict(tool) for tool in tools]
        self._prefix = prefix
        self._most = most
        self._count = 0

    @property
    def is_full(self) -> bool:
        return self._most is not None and self._count >= self._most

    def read(self, text: str) -> tuple[ToolCall, ...] | None:
        """The calls in the text between a model's marks. None: it is none, or was cut in the middle."""
        try:
            found = self._parse(text, self._tools or None)
            read = [_read(one) for one in (found if isinstance(found, list) else [found])]
        except Exception as error:  # a parser of mlx-lm meets whatever a model wrote, and raises what its helpers raise
            log.info("a tool call could not be read", extra={"error": type(error).__name__})  # never its text
            return None
        return tuple(self._numbered(*one) for one in read if not self.is_full)

    def _numbered(self, given: Any, name: str, arguments: str) -> ToolCall:
        self._count += 1
        return ToolCall(str(given) if given else f"call_{self._prefix}_{self._count}", name, arguments)


def _read(found: Mapping[str, Any]) -> tuple[Any, str, str]:
    """The model's own id of a call, its name and its arguments as JSON. Raises what is wrong with them."""
    name, arguments = found["name"], found.get("arguments") or {}
    if not isinstance(name, str):
        raise TypeError("a tool's name is text")
    # NaN is no JSON, and half of a surrogate pair no text: a model may write both.
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    return found.get("id"), _whole(name), _whole(text)


def _whole(text: str) -> str:
    return text.encode(errors="replace").decode()
