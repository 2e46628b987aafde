"""A question as the gateway understands it, whichever endpoint it came through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Endpoint(StrEnum):
    """The two shapes of question and answer."""

    CHAT = "chat"
    COMPLETION = "completion"


@dataclass(frozen=True)
class ToolChoice:
    """Whether the model may call the tools that are offered, must, or must call a certain one."""

    is_allowed: bool = True
    is_required: bool = False
    name: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn, as far as the client said. None: what the model's makers recommend, else greedy."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None  # 0 is off
    min_p: float | None = None
    seed: int | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None  # how many alternatives to report beside each token's own; None: no logprobs


@dataclass(frozen=True)
class Request:
    """One request, checked. `messages` for chat, `prompt` (text or token ids) for a completion."""

    endpoint: Endpoint
    model: str
    messages: tuple[Mapping[str, Any], ...] = ()
    prompt: str | tuple[int, ...] = ""
    max_tokens: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    n: int = 1  # answers to the one prompt
    tools: tuple[Mapping[str, Any], ...] = ()  # as the client sent them, for the model's template
    tool_choice: ToolChoice = ToolChoice()
    response_schema: Mapping[str, Any] | None = None  # JSON Schema that the answer must keep to; None: any text
    parallel_calls: bool = True  # whether one answer may call several tools
    reasoning_effort: str | None = None  # for templates that know it
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)  # for the template: enable_thinking and its like
    stream: bool = False
    include_usage: bool = False

    @property
    def prompt_param(self) -> str:
        """The field the prompt came in, for errors about its length."""
        return "messages" if self.endpoint is Endpoint.CHAT else "prompt"
