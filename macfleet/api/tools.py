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
    """Reads the calls of one answer; `prefix` makes their ids unique."""

    def __init__(self, parse: ParseCall, tools: Sequence[Tool], prefix: str):
        self._parse = parse
        self._tools = [dict(tool) for tool in tools]
        self._prefix = prefix
        self._count = 0

    def read(self, text: str) -> tuple[ToolCall, ...] | None:
        """The calls in the text between a model's marks. None: it is none, or was cut in the middle."""
        try:
            found = self._parse(text, self._tools or None)
            return tuple(self._call(one) for one in (found if isinstance(found, list) else [found]))
        except Exception as error:  # a parser of mlx-lm meets whatever a model wrote, and raises what its helpers raise
            log.info("a tool call could not be read", extra={"error": type(error).__name__})  # never its text
            return None

    def _call(self, found: Mapping[str, Any]) -> ToolCall:
        name, arguments = found["name"], found.get("arguments") or {}
        if not isinstance(name, str):
            raise TypeError("a tool's name is text")
        self._count += 1
        given = found.get("id")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return ToolCall(str(given) if given else f"call_{self._prefix}_{self._count}", name, text)
