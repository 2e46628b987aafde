"""The answer to one request: tokens from the desk become text, chunks and events."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from macfleet.api.errors import ApiError
from macfleet.api.render import DONE, Answer, Usage, answer_id, event
from macfleet.api.request import Request
from macfleet.api.text import Piece, TextStream
from macfleet.gateway.desk import Ticket
from macfleet.gateway.service import Service


class Writer:
    """Writes one answer and gives the place back, whatever happens: `async with writer`."""

    def __init__(self, service: Service, request: Request, ticket: Ticket):
        self._desk = service.desk
        self._request = request
        self._ticket = ticket
        self._answer = Answer(request.endpoint, answer_id(request.endpoint, ticket.id), service.config.model, int(time.time()))
        self._pieces = self._write(TextStream(service.loaded_text().decode, request.stop))
        self._first: Piece | None = None
        self._written = 0
        self._outcome = "cancelled"  # unless we hear otherwise, the client went away

    async def __aenter__(self) -> Writer:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._pieces.aclose()
        self._desk.leave(self._ticket, self._outcome)

    async def whole(self) -> dict[str, Any]:
        """The body of an answer that is not streamed. Raises ApiError."""
        pieces = [piece async for piece in self._pieces]
        text, reason = "".join(piece.text for piece in pieces), pieces[-1].finish_reason
        assert reason is not None, "the last piece says why it is the last"
        return self._answer.whole(text, reason, self._usage)

    async def begin(self) -> None:
        """Waits for the first piece. Raises ApiError: a stream that has not begun can still be an HTTP error."""
        self._first = await anext(self._pieces)

    async def events(self) -> AsyncIterator[bytes]:
        """The answer as server-sent events. An error in the middle is an event, and then the stream ends."""
        for chunk in self._answer.opening():
            yield event(chunk)
        try:
            async for piece in self._begun_pieces():
                if piece.text or piece.finish_reason:
                    yield event(self._answer.chunk(piece.text, piece.finish_reason))
        except ApiError as error:
            yield event(error.body())
            return
        if self._request.include_usage:
            yield event(self._answer.usage_chunk(self._usage))
        yield DONE

    async def _begun_pieces(self) -> AsyncIterator[Piece]:
        if self._first is not None:
            yield self._first
        async for piece in self._pieces:
            yield piece

    async def _write(self, text: TextStream) -> AsyncGenerator[Piece]:
        try:
            async for token in self._ticket.tokens():
                self._written += 1
                piece = text.push(token.token, token.finished)
                if piece.finish_reason is not None:
                    self._outcome = piece.finish_reason
                yield piece
                if piece.finish_reason is not None:
                    return
        except ApiError as error:
            self._outcome = error.code or "failed"
            raise

    @property
    def _usage(self) -> Usage:
        return Usage(len(self._ticket.prompt), self._written)


class EventStream(StreamingResponse):
    """A response that gives the request's place back when it ends, also when it never began."""

    def __init__(self, writer: Writer):
        super().__init__(writer.events(), media_type="text/event-stream", headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._writer:
            await super().__call__(scope, receive, send)
