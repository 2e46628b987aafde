"""How likely the model found what it wrote, in the two shapes that OpenAI's endpoints have for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from macfleet.api.request import Endpoint
from macfleet.api.text import Scored

# OpenAI's clients show it with four digits and some compute with it: minus infinity is no JSON.
_IMPOSSIBLE = -9999.0

TokenBytes = Callable[[int], bytes]


class Logprobs:
    """Renders the tokens of one answer, piece by piece. `token_bytes`: what one token stands for, which may be part of a character."""

    def __init__(self, endpoint: Endpoint, token_bytes: TokenBytes):
        self._is_chat = endpoint is Endpoint.CHAT
        self._bytes = token_bytes
        self._offset = 0

    def render(self, scored: Iterable[Scored]) -> dict[str, Any]:
        return self._for_chat(scored) if self._is_chat else self._for_completion(scored)

    def _for_chat(self, scored: Iterable[Scored]) -> dict[str, Any]:
        content = [
            {**self._one(one.token, one.logprob), "top_logprobs": [self._one(token, logprob) for token, logprob in one.top]}
            for one in scored
        ]
        return {"content": content, "refusal": None}

    def _for_completion(self, scored: Iterable[Scored]) -> dict[str, Any]:
        columns: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for one in scored:
            text = self._text(one.token)
            columns["tokens"].append(text)
            columns["token_logprobs"].append(_finite(one.logprob))
            columns["top_logprobs"].append({self._text(token): _finite(logprob) for token, logprob in one.top})
            columns["text_offset"].append(self._offset)
            self._offset += len(text)
        return columns

    def _one(self, token: int, logprob: float) -> dict[str, Any]:
        return {"token": self._text(token), "logprob": _finite(logprob), "bytes": list(self._bytes(token))}

    def _text(self, token: int) -> str:
        return self._bytes(token).decode(errors="replace")


def _finite(logprob: float) -> float:
    return max(logprob, _IMPOSSIBLE)
