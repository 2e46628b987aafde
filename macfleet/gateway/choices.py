"""The answers to one request, each from a place of its own in the pipeline, as they grow side by side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

from macfleet.api.errors import ApiError
from macfleet.api.logprobs import Logprobs
from macfleet.api.render import Choice
from macfleet.api.request import Endpoint, Request
from macfleet.api.sections import Section, Sections
from macfleet.api.text import Scored, TextStream
from macfleet.api.tools import CallReader
from macfleet.engines.protocol import Token
from macfleet.gateway.desk import Desk, Ticket
from macfleet.gateway.model_text import ModelText


class Growing:
    """One answer: tokens from the desk become pieces of text. Gives its place back when it is closed."""

    def __init__(self, index: int, ticket: Ticket, request: Request, text: ModelText, desk: Desk, section: str):
        self._index = index
        self._ticket = ticket
        self._desk = desk
        self._text = text_stream(ticket, request, text, section)
        self._calls = 0
        self._logprobs = None if request.sampling.logprobs is None else Logprobs(request.endpoint, text.token_bytes)
        self._outcome = "cancelled"  # unless we hear otherwise, the client went away
        self.written = 0

    async def pieces(self) -> AsyncGenerator[Choice]:
        """Until the one with a finish_reason. Raises ApiError."""
        try:
            async for token in self._ticket.tokens():
                self.written += 1
                piece = self._text.push(token.token, token.finished, self._scored(token))
                logprobs = self._logprobs.render(piece.scored) if self._logprobs and piece.scored else None
                self._outcome = piece.finish_reason or self._outcome
                if piece.finish_reason is not None:
                    self.close()  # now: the answers beside it may take long, and so may the client to read this one
                yield Choice(self._index, piece.text, piece.finish_reason, logprobs, piece.reasoning, piece.calls, self._calls)
                self._calls += len(piece.calls)
                if piece.finish_reason is not None:
                    return
        except ApiError as error:
            self._outcome = error.code or "failed"
            raise

    def close(self) -> None:
        self._desk.leave(self._ticket, self._outcome)

    def _scored(self, token: Token) -> Scored | None:
        if self._logprobs is None or token.logprob is None:
            return None
        return Scored(token.token, token.logprob, token.top_logprobs)


def text_stream(ticket: Ticket, request: Request, text: ModelText, section: str) -> TextStream:
    """How this request's tokens become text: a completion is plain text, a chat has its model's sections, and begins in this one."""
    if request.endpoint is Endpoint.COMPLETION:
        return TextStream(text.decode, request.stop)
    if not request.tools or text.parse_call is None:
        return TextStream(text.decode, request.stop, Sections(text.marks.without(Section.TOOL), section))
    reader = CallReader(text.parse_call, request.tools, ticket.id, None if request.parallel_calls else 1)
    return TextStream(text.decode, request.stop, Sections(text.marks, section), reader)


async def side_by_side(answers: Sequence[Growing]) -> AsyncGenerator[Choice]:
    """The pieces of all answers in the order they come. Raises the first error of any; then none goes on."""
    if len(answers) == 1:
        async with contextlib.aclosing(answers[0].pieces()) as pieces:
            async for piece in pieces:
                yield piece
        return
    arrived: asyncio.Queue[Choice | Exception] = asyncio.Queue()
    tasks = [asyncio.ensure_future(_collect(answer, arrived)) for answer in answers]
    try:
        unfinished = len(tasks)
        while unfinished:
            event = await arrived.get()
            if isinstance(event, Exception):
                raise event
            unfinished -= event.finish_reason is not None
            yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _collect(answer: Growing, arrived: asyncio.Queue[Choice | Exception]) -> None:
    try:
        async with contextlib.aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                arrived.put_nowait(piece)
    except Exception as error:  # whatever it is: who waits for this answer would wait for ever
        arrived.put_nowait(error)
