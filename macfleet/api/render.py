"""Answers in OpenAI's shapes: whole, in chunks, and as server-sent events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from macfleet.api.request import Endpoint
from macfleet.api.text import FinishReason

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
class Answer:
    """What stays the same over all chunks of one answer. `created` is in seconds since the epoch."""

    endpoint: Endpoint
    id: str
    model: str
    created: int

    def whole(self, text: str, finish_reason: FinishReason, usage: Usage) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        if self.endpoint is Endpoint.CHAT:
            choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}}
            kind = "chat.completion"
        else:
            choice, kind = {"index": 0, "text": text}, "text_completion"
        choice |= {"logprobs": None, "finish_reason": finish_reason}
        return {**self._head(kind), "choices": [choice], "usage": usage.as_json()}

    def opening(self) -> tuple[dict[str, Any], ...]:
        """Chunks before the first text: a chat says who speaks."""
        if self.endpoint is Endpoint.COMPLETION:
            return ()
        return (self._chunk({"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}),)

    def chunk(self, text: str, finish_reason: FinishReason | None) -> dict[str, Any]:
        """One piece of text."""
        if self.endpoint is Endpoint.CHAT:
            choice: dict[str, Any] = {"index": 0, "delta": {"content": text} if text else {}}
        else:
            choice = {"index": 0, "text": text}
        return self._chunk(choice | {"logprobs": None, "finish_reason": finish_reason})

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        """The chunk without a choice that `stream_options.include_usage` asks for."""
        return {**self._head(self._chunk_kind), "choices": [], "usage": usage.as_json()}

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
