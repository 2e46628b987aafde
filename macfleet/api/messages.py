"""The parts of a conversation as clients send them: messages, tools that are on offer, calls that were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError


def _content(value: Any) -> str | None:
    """A message's text; OpenAI also writes it as a list of parts."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise PydanticCustomError("invalid_type", "expected a string or an array of text parts")
    return "".join(_part_text(part) for part in value)


def _part_text(part: Any) -> str:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return text
        case {"type": str(kind)} if kind not in ("text", "refusal"):
            raise PydanticCustomError("unsupported_content", "this service reads text only, not {kind}", {"kind": kind})
        case _:
            raise PydanticCustomError("invalid_type", "expected text parts, each with a type and a text")


class Body(BaseModel):
    """Every field may be null, which counts as not given, as in OpenAI's API."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class CalledFunction(Body):
    name: str
    arguments: str = ""


class CalledTool(Body):
    """A call that an assistant's earlier message made."""

    id: str | None = None
    type: Literal["function"] = "function"
    function: CalledFunction

    def for_template(self) -> Mapping[str, Any]:
        """Templates want the arguments as an object, and write it in their own way."""
        try:
            arguments = json.loads(self.function.arguments or "{}")
        except ValueError:
            arguments = self.function.arguments
        return {**self.model_dump(exclude_none=True), "function": {"name": self.function.name, "arguments": arguments}}


class Message(Body):
    model_config = ConfigDict(extra="allow")  # a template may use more: name, tool_call_id, reasoning_content

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[str | None, PlainValidator(_content)] = None
    tool_calls: list[CalledTool] | None = None

    def for_template(self) -> Mapping[str, Any]:
        # Chat templates know no "developer"; OpenAI says it takes the place of "system".
        role = "system" if self.role == "developer" else self.role
        calls = {"tool_calls": [call.for_template() for call in self.tool_calls]} if self.tool_calls else {}
        # Clients send back what they were sent, nulls and all: to a template that asks `is defined`, a null is the text "None".
        given = self.model_dump(exclude={"tool_calls"}, exclude_none=True)
        return {**given, **calls, "role": role, "content": self.content or ""}


class Function(Body):
    model_config = ConfigDict(extra="allow")  # "strict" and what else a template may show

    name: Annotated[str, Field(min_length=1, max_length=256)]
    parameters: dict[str, Any] | None = None


class Tool(Body):
    type: Literal["function"]
    function: Function

    def for_template(self) -> Mapping[str, Any]:
        return {"type": "function", "function": self.function.model_dump(exclude_none=True)}
