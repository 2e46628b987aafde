"""The HTTP face: OpenAI's endpoints, health, metrics, drain."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from macfleet.api import errors
from macfleet.api.errors import ApiError
from macfleet.api.parse import parse_chat, parse_completion, parse_detokenize, parse_tokenize
from macfleet.api.render import model_card, model_list
from macfleet.api.request import Request
from macfleet.gateway.answer import EventStream, Writer
from macfleet.gateway.guard import Guard
from macfleet.gateway.health import render_health
from macfleet.gateway.metrics import CONTENT_TYPE
from macfleet.gateway.pages import Pages
from macfleet.gateway.service import Service

log = logging.getLogger(__name__)
T = TypeVar("T")

MOST_BODY_BYTES = 32 * 1024**2
_TOKENIZERS = 4


class ClientGone(Exception):
    """Nobody waits for this answer any more."""


class Face:
    """The endpoints of one service."""

    def __init__(self, service: Service):
        self._service = service
        config = service.config
        self._guard = Guard(config.api_key, {name: client.key for name, client in config.api_keys.items()})
        # Beside the event loop, which must not stop over a long prompt; several, so that a short one need not wait for it.
        self._tokenizing = ThreadPoolExecutor(_TOKENIZERS, "tokenize")

    def app(self) -> Starlette:
        guarded, admin = self._guard.client, self._guard.operator
        routes = [
            Route("/v1/chat/completions", guarded(self._chat), methods=["POST"]),
            Route("/v1/completions", guarded(self._completion), methods=["POST"]),
            Route("/v1/models", guarded(self._models), methods=["GET"]),
            Route("/v1/models/{name:path}", guarded(self._model), methods=["GET"]),
            Route("/tokenize", guarded(self._tokenize), methods=["POST"]),
            Route("/detokenize", guarded(self._detokenize), methods=["POST"]),
            Route("/health", self._health, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/admin/drain", admin(self._drain), methods=["POST"]),
            Route("/admin/resume", admin(self._resume), methods=["POST"]),
        ]
        handlers: dict[Any, Any] = {
            ApiError: _render_error,
            HTTPException: _render_http_error,
            ClientGone: _render_gone,
            ClientDisconnect: _render_gone,  # in the middle of its own question
            Exception: _render_bug,
        }
        has_key = self._service.config.api_key is not None
        return Starlette(routes=routes, exception_handlers=handlers, middleware=[Middleware(Pages, has_key=has_key)])

    async def _chat(self, http: HttpRequest) -> Response:
        return await self._answer(http, parse_chat)

    async def _completion(self, http: HttpRequest) -> Response:
        return await self._answer(http, parse_completion)

    async def _answer(self, http: HttpRequest, parse: Callable[[bytes], Request]) -> Response:
        request = parse(await _body(http))
        self._service.check(request, http.state.key)
        text = self._service.loaded_text()
        prepared = await asyncio.get_running_loop().run_in_executor(self._tokenizing, text.prepared, request)
        writer = Writer(self._service, request, self._service.enter(request, prepared, http.state.key), prepared.section)
        return await self._stream(http, writer) if request.stream else await self._whole(http, writer)

    async def _whole(self, http: HttpRequest, writer: Writer) -> Response:
        async with writer:
            return JSONResponse(await _unless_gone(http, writer.whole()), headers=writer.headers)

    async def _stream(self, http: HttpRequest, writer: Writer) -> Response:
        """The status is decided when the first token is there: until then a failure is an honest HTTP error."""
        try:
            await _unless_gone(http, writer.begin())
        except BaseException:
            await writer.close()
            raise
        return EventStream(writer)

    async def _models(self, http: HttpRequest) -> Response:
        config = self._service.config
        return JSONResponse(model_list(config.model, self._service.started_at, config.context_tokens))

    async def _model(self, http: HttpRequest) -> Response:
        config = self._service.config
        self._service.check_model(http.path_params["name"])
        return JSONResponse(model_card(config.model, self._service.started_at, config.context_tokens))

    async def _tokenize(self, http: HttpRequest) -> Response:
        """The tokens of a prompt, as the service itself would count them; vLLM's shape. Needs no worker."""
        request, text = parse_tokenize(await _body(http)), self._service.loaded_text()
        tokens = await asyncio.get_running_loop().run_in_executor(self._tokenizing, text.prompt, request)
        return JSONResponse({"count": len(tokens), "max_model_len": self._service.config.context_tokens, "tokens": list(tokens)})

    async def _detokenize(self, http: HttpRequest) -> Response:
        tokens, text = parse_detokenize(await _body(http)), self._service.loaded_text()
        text.check_tokens(tokens, "tokens")
        return JSONResponse({"prompt": await asyncio.get_running_loop().run_in_executor(self._tokenizing, text.decode, tokens)})

    async def _health(self, http: HttpRequest) -> Response:
        return JSONResponse(self._rendered_health(), 200 if self._service.state == "ready" else 503)

    async def _metrics(self, http: HttpRequest) -> Response:
        return Response(self._service.metrics.render(), headers={"content-type": CONTENT_TYPE})

    async def _drain(self, http: HttpRequest) -> Response:
        self._service.drain(True)
        return JSONResponse(self._rendered_health())

    async def _resume(self, http: HttpRequest) -> Response:
        self._service.drain(False)
        return JSONResponse(self._rendered_health())

    def _rendered_health(self) -> dict[str, Any]:
        return render_health(self._service, time.monotonic())


async def _body(http: HttpRequest) -> bytes:
    body = bytearray()
    async for part in http.stream():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise errors.too_large(MOST_BODY_BYTES)
    return bytes(body)


async def _unless_gone(http: HttpRequest, work: Awaitable[T]) -> T:
    """The work's result; when the client goes away first, the work is cancelled, so that its place is free at once."""
    working, going = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(http))
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, going):
            task.cancel()
        await asyncio.gather(working, going, return_exceptions=True)


async def _disconnected(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


async def _render_error(http: HttpRequest, error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    # Never the message: it may quote what the client sent.
    log.info("request refused", extra={"path": http.url.path, "status": error.status, "code": error.code, "param": error.param})
    return JSONResponse(error.body(), error.status, {**(headers or {}), **error.headers()})


async def _render_http_error(http: HttpRequest, error: HTTPException) -> Response:
    """Starlette's own: no such path, no such method."""
    api_error = errors.wrong_method(http.method, http.url.path) if error.status_code == 405 else errors.not_found(http.url.path)
    return await _render_error(http, api_error, error.headers)  # which methods are allowed


async def _render_gone(http: HttpRequest, error: ClientGone) -> Response:
    return Response(status_code=499)  # nginx's number for it; nobody reads this


async def _render_bug(http: HttpRequest, error: Exception) -> Response:
    # Starlette raises it again after this, so the log gets the traceback too.
    return await _render_error(http, errors.failed("an error in the gateway; its log has more"))
