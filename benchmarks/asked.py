"""One question asked over HTTP in one of many ways, and what was heard of the answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from questions import Question


@dataclass(frozen=True)
class Style:
    """How somebody asks. Who leaves does so after so many pieces of a stream, or after some seconds, whatever has come."""

    most_tokens: int
    is_streamed: bool = True
    choices: int = 1
    has_logprobs: bool = False
    stops: tuple[str, ...] = ()
    leaves_after_pieces: int | None = None
    leaves_after_s: float | None = None


@dataclass
class Heard:
    """Of each choice its text, why it ended (None: it was left) and its log probabilities; of all of them the tokens."""

    texts: list[str]
    reasons: list[str | None]
    logprobs: list[list[float]]
    prompt_tokens: int | None = None
    tokens: int | None = None
    has_left: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Asked:
    number: int
    question: Question
    style: Style
    heard: Heard


def style_of(rng: random.Random, words: Sequence[str], longest: int) -> Style:
    """Mostly short streamed answers, as clients want them, and now and then everything else."""
    length = rng.choices((rng.randint(1, 3), rng.randint(4, min(48, longest)), rng.randint(min(49, longest), longest)), (15, 65, 20))[0]
    is_streamed = rng.random() < 0.75
    leaving = rng.random()
    return Style(
        length,
        is_streamed,
        choices=rng.randint(2, 3) if rng.random() < 0.06 else 1,
        has_logprobs=rng.random() < 0.15,
        stops=tuple(f" {word}" for word in rng.sample(words, 4)) if rng.random() < 0.1 else (),
        leaves_after_pieces=rng.randint(1, length) if is_streamed and leaving < 0.12 else None,
        leaves_after_s=rng.expovariate(1.0) if leaving > 0.9 else None,
    )


async def hear(client: httpx.AsyncClient, model: str, question: Question, style: Style, leaving: asyncio.Timeout) -> Heard:
    """Until the answer's end or its client's leaving; `leaving` may be moved by others who want everybody to go."""
    heard = Heard([""] * style.choices, [None] * style.choices, [[] for _ in range(style.choices)])
    path = "/v1/chat/completions" if question.is_chat else "/v1/completions"
    try:
        async with leaving:
            if style.is_streamed:
                await _stream(client, path, body_of(model, question, style), style, heard)
            else:
                _take_whole((await _asked(client, path, body_of(model, question, style))).json(), heard)
    except TimeoutError:
        heard.has_left = True
    except (httpx.HTTPError, ValueError, KeyError, _Failed) as error:
        heard.error = f"{type(error).__name__}: {error}"
    return heard


class _Failed(Exception):
    """The server said why."""


def body_of(model: str, question: Question, style: Style) -> dict[str, Any]:
    asked: dict[str, Any] = {"messages": question.messages} if question.is_chat else {"prompt": question.text}
    body = {"model": model, **asked, "max_tokens": style.most_tokens, "n": style.choices, "temperature": question.draw.temperature}
    if question.draw.temperature:
        body["seed"] = question.draw.seed
    if style.has_logprobs:
        body |= {"logprobs": True, "top_logprobs": 2} if question.is_chat else {"logprobs": 2}
    if style.stops:
        body["stop"] = style.stops
    if style.is_streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


async def _asked(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> httpx.Response:
    response = await client.post(path, json=body)
    if response.status_code != 200:
        raise _Failed(f"{response.status_code} {response.text}")
    return response


async def _stream(client: httpx.AsyncClient, path: str, body: dict[str, Any], style: Style, heard: Heard) -> None:
    pieces, is_done = 0, False
    async with client.stream("POST", path, json=body) as response:
        if response.status_code != 200:
            raise _Failed(f"{response.status_code} {(await response.aread()).decode()}")
        async for line in response.aiter_lines():
            if not line.startswith("data: "):
                continue
            if line == "data: [DONE]":
                is_done = True
                continue
            _take_chunk(json.loads(line.removeprefix("data: ")), heard)
            pieces += 1
            if pieces == style.leaves_after_pieces:
                heard.has_left = True
                return
    if not is_done:
        raise _Failed("the stream ended before its end mark")


def _take_chunk(chunk: dict[str, Any], heard: Heard) -> None:
    if "error" in chunk:
        raise _Failed(str(chunk["error"]))
    for choice in chunk["choices"]:
        index = choice["index"]
        heard.texts[index] += (choice["delta"].get("content") or "") if "delta" in choice else choice["text"]
        heard.reasons[index] = choice["finish_reason"] or heard.reasons[index]
        heard.logprobs[index] += _numbers(choice.get("logprobs"))
    _take_usage(chunk, heard)


def _take_whole(answer: dict[str, Any], heard: Heard) -> None:
    for choice in answer["choices"]:
        index = choice["index"]
        heard.texts[index] = choice["message"]["content"] if "message" in choice else choice["text"]
        heard.reasons[index] = choice["finish_reason"]
        heard.logprobs[index] = _numbers(choice.get("logprobs"))
    _take_usage(answer, heard)


def _take_usage(body: dict[str, Any], heard: Heard) -> None:
    if used := body.get("usage"):
        heard.prompt_tokens, heard.tokens = used["prompt_tokens"], used["completion_tokens"]


def _numbers(logprobs: dict[str, Any] | None) -> list[float]:
    """Of the tokens that were said, in the shape of either endpoint."""
    if not logprobs:
        return []
    found: list[float] = logprobs.get("token_logprobs") or [one["logprob"] for one in logprobs.get("content") or ()]
    return found
