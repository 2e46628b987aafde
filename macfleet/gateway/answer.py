"""The answer to one request: tokens from the desk become text, chunks and events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from macfleet.api.errors import ApiError
from macfleet.api.render import DONE, Answer, Choice, Usage, answer_id, event, joined
from macfleet.api.request import Request
from macfleet.gateway.choices import Growing, side_by_side
from macfleet.gateway.desk import Ticket
from macfleet.gateway.service import Service


class Writer:
    """Writes one answer and gives its places back, whatever happens: `async with writer`."""

    def __init__(self, service: Service, request: Request, tickets: Sequence[Ticket], section: str):
        self._request = request
        self.headers = {"x-request-id": tickets[0].id}  # as the log has it
        self._prompt_tokens = len(tickets[0].prompt)
        self._answer = Answer(request.endpoint, answer_id(request.endpoint, tickets[0].id), service.config.model, int(time.time()))
        text = service.loaded_text()
        self._growing = [Growing(index, ticket, request, text, service.desk, section) for index, ticket in enumerate(tickets)]
        self._pieces = side_by_side(self._growing)
        self._first: Choice | None = None

    async def __aenter__(self) -> Writer:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._pieces.aclose()
        for growing in self._growing:
            growing.close()

    async def whole(self) -> dict[str, Any]:
        """The body of an answer that is not streamed. Raises ApiError."""
        pieces: list[list[Choice]] = [[] for _ in self._growing]
        async for piece in self._pieces:
            pieces[piece.index].append(piece)
        return self._answer.whole([joined(one) for one in pieces], self._usage)

    async def begin(self) -> None:
        """Waits for the first piece. Raises ApiError: a stream that has not begun can still be an HTTP error."""
        self._first = await anext(self._pieces)

    async def events(self) -> AsyncIterator[bytes]:
        """The answer as server-sent events. An error in the middle is an event, and then the stream ends."""
        for chunk in self._answer.opening(len(self._growing)):
            yield event(chunk)
        try:
            async for piece in self._begun_pieces():
                if not piece.is_empty:
                    yield event(self._answer.chunk(piece))
        except ApiError as error:
            yield event(error.body())
            return
        if self._request.include_usage:
            yield event(self._answer.usage_chunk(self._usage))
        yield DONE

    async def _begun_pieces(self) -> AsyncIterator[Choice]:
        if self._first is not None:
            yield self._first
        async for piece in self._pieces:
            yield piece

    @property
    def _usage(self) -> Usage:
        return Usage(self._prompt_tokens, sum(growing.written for growing in self._growing))


class EventStream(StreamingResponse):
    """A response that gives the request's place back when it ends, also when it never began."""

    def __init__(self, writer: Writer):
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no", **writer.headers}
        super().__init__(writer.events(), media_type="text/event-stream", headers=headers)
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._writer:
            await super().__call__(scope, receive, send)
