"""Answers in OpenAI's shapes: whole, in chunks, and as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.api.request import Endpoint
from macfleet.api.text import FinishReason
from macfleet.api.tools import ToolCall

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Usage:
    """Tokens that were read and written. The end mark of the model counts as written."""

    prompt_tokens: int
    completion_tokens: int

    def as_json(self) -> dict[str, int]:
        total = self.prompt_tokens + self.completion_tokens
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens, "total_tokens": total}


@dataclass(frozen=True)
class Choice:
    """One of the answers to a prompt, or a piece of it. `logprobs` in the endpoint's own shape, None unless asked for.

    `first_call`: how many calls of tools came in the pieces before.
    """

    index: int = 0
    text: str = ""
    finish_reason: FinishReason | None = None
    logprobs: dict[str, Any] | None = None
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    first_call: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.reasoning or self.calls or self.finish_reason)


def joined(pieces: Sequence[Choice]) -> Choice:
    """One answer of all its pieces, the last of which says why it ended."""
    text, found = "".join(piece.text for piece in pieces), [piece.logprobs for piece in pieces if piece.logprobs]
    return Choice(
        pieces[-1].index,
        text,
        pieces[-1].finish_reason,
        _joined_columns(found) if found else None,
        "".join(piece.reasoning for piece in pieces),
        tuple(call for piece in pieces for call in piece.calls),
    )


def _joined_columns(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Lists one after the other; what is no list (`refusal`) is the same in all parts."""
    return {
        name: [row for part in parts for row in part[name]] if isinstance(column, list) else column for name, column in parts[0].items()
    }


@dataclass(frozen=True)
class Answer:
    """What stays the same over all chunks of one answer. `created` is in seconds since the epoch."""

    endpoint: Endpoint
    id: str
    model: str
    created: int

    def whole(self, choices: Sequence[Choice], usage: Usage) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        kind = "chat.completion" if self.endpoint is Endpoint.CHAT else "text_completion"
        return {**self._head(kind), "choices": [self._rendered(choice) for choice in choices], "usage": usage.as_json()}

    def opening(self, choices: int = 1) -> tuple[dict[str, Any], ...]:
        """Chunks before the first text: a chat says who speaks."""
        if self.endpoint is Endpoint.COMPLETION:
            return ()
        said = {"delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
        return tuple(self._chunk({"index": index, **said}) for index in range(choices))

    def chunk(self, choice: Choice) -> dict[str, Any]:
        """One piece of one answer."""
        if self.endpoint is Endpoint.COMPLETION:
            return self._chunk(self._rendered(choice))
        delta: dict[str, Any] = {"content": choice.text} if choice.text else {}
        if choice.reasoning:
            delta["reasoning_content"] = choice.reasoning
        if choice.calls:
            delta["tool_calls"] = [{"index": index, **call.as_json()} for index, call in enumerate(choice.calls, choice.first_call)]
        return self._chunk({"index": choice.index, "delta": delta, "logprobs": choice.logprobs, "finish_reason": choice.finish_reason})

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        """The chunk without a choice that `stream_options.include_usage` asks for."""
        return {**self._head(self._chunk_kind), "choices": [], "usage": usage.as_json()}

    def _rendered(self, choice: Choice) -> dict[str, Any]:
        if self.endpoint is Endpoint.CHAT:
            # OpenAI's own shape says null where the model only called tools.
            message = {"role": "assistant", "content": None if choice.calls and not choice.text else choice.text, "refusal": None}
            if choice.reasoning:
                message["reasoning_content"] = choice.reasoning
            called = {"tool_calls": [call.as_json() for call in choice.calls]} if choice.calls else {}
            said: dict[str, Any] = {"message": message | called}
        else:
            said = {"text": choice.text}
        return {"index": choice.index, **said, "logprobs": choice.logprobs, "finish_reason": choice.finish_reason}

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.endpoint is Endpoint.CHAT else "text_completion"

    def _chunk(self, choice: dict[str, Any]) -> dict[str, Any]:
        return {**self._head(self._chunk_kind), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def answer_id(endpoint: Endpoint, request_id: str) -> str:
    """`chatcmpl-…` or `cmpl-…`, as OpenAI's ids begin."""
    return f"{'chatcmpl' if endpoint is Endpoint.CHAT else 'cmpl'}-{request_id}"


def model_list(model: str, created: int, context_tokens: int) -> dict[str, Any]:
    """The body of /v1/models: a service has one model. `max_model_len` is vLLM's addition, which clients read."""
    return {"object": "list", "data": [model_card(model, created, context_tokens)]}


def model_card(model: str, created: int, context_tokens: int) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": created, "owned_by": "macfleet", "max_model_len": context_tokens}


def event(body: dict[str, Any]) -> bytes:
    """One server-sent event, which is one line in ASCII: clients that read lines as text also cut at U+2028 and U+0085."""
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
