"""Where requests are taken in, wait for a place, and get their tokens: admission and the request journal."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from macfleet.api.errors import ApiError, failed, interrupted, key_at_its_limit, not_ready, queue_full, too_many_at_once
from macfleet.engines.protocol import Cancel, Failed, Sampling, Submit, Token
from macfleet.gateway.lines import DEFAULT, Line, Lines
from macfleet.gateway.metrics import Metrics

log = logging.getLogger(__name__)

_MOST_RETRY_S = 60


@dataclass(eq=False)
class Ticket:
    """One request from its arrival to its last token: everything that would be needed to ask again. `key`: the name of its API key."""

    id: str
    key: str
    prompt: tuple[int, ...]
    max_tokens: int
    sampling: Sampling
    eos: tuple[int, ...]
    arrived_at: float
    submitted_at: float | None = None
    first_token_at: float | None = None
    delivered: list[int] = field(default_factory=list)
    outcome: str | None = None  # how it ended; None while it is on its way
    _events: asyncio.Queue[Token | ApiError] = field(default_factory=asyncio.Queue)

    async def tokens(self) -> AsyncIterator[Token]:
        """The tokens as they come, the last one with `finished`. Raises ApiError when no more can come."""
        while True:
            event = await self._events.get()
            if isinstance(event, ApiError):
                raise event
            yield event
            if event.finished is not None:
                return

    def put(self, event: Token | ApiError) -> None:
        self._events.put_nowait(event)


class Desk:
    """Gives places in the pipeline to requests: to keys in turn, to those of one key in the order they came.

    Single-threaded: lives in the event loop. `own_limits`: names of API keys → how many of their requests are answered at once.
    """

    def __init__(
        self,
        concurrency: int,
        queue_limit: int,
        send: Callable[[Submit | Cancel], None],
        metrics: Metrics,
        own_limits: Mapping[str, int | None] | None = None,
    ):
        self.lines: Lines[Ticket] = Lines(concurrency, queue_limit, own_limits or {})
        self._has_keys = bool(own_limits)
        self._send = send
        self._metrics = metrics
        self._running: dict[str, Ticket] = {}
        self._usual_duration_s = 1.0
        self._start = secrets.token_hex(4)  # ids stay unique over a restart of the gateway
        self._numbers = itertools.count(1)
        self.epoch: int | None = None  # None: the gang is not ready

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return self.lines.waiting

    @property
    def is_idle(self) -> bool:
        return not self._running and not self.waiting

    def check_room(self, count: int, key: str = DEFAULT) -> None:
        """Raises ApiError unless that many more of this key would find a place, or room to wait."""
        if count > self.lines.most(key):
            raise too_many_at_once(self.lines.most(key))
        if count > self.lines.free(key):
            self._metrics.requests.labels("refused").inc()
            if self._has_keys:
                self._metrics.key_requests.labels(key, "refused").inc()
            raise self._refusal(self.lines[key])

    def enter(self, prompt: Sequence[int], max_tokens: int, sampling: Sampling, eos: Sequence[int], key: str = DEFAULT) -> Ticket:
        """A place in the pipeline or in the queue; `leave` must follow, whatever happens. Raises ApiError if there is none."""
        if self.epoch is None:
            raise not_ready("the workers are being assembled")
        self.check_room(1, key)
        number = f"{self._start}-{next(self._numbers)}"
        ticket = Ticket(number, key, tuple(prompt), max_tokens, sampling, tuple(eos), arrived_at=time.monotonic())
        self.lines.join(key, ticket)
        self._fill()
        return ticket

    def leave(self, ticket: Ticket, outcome: str) -> None:
        """The client has all it wanted, or is gone: its place is free for the next."""
        if ticket.outcome is not None:
            return
        ticket.outcome = outcome
        self.lines.leave(ticket.key, ticket)
        # Not finished by the workers themselves: a stop string, a client that went away.
        if self._running.pop(ticket.id, None) is not None:
            self.lines.free_place(ticket.key)
            self._send(Cancel(request=ticket.id))
        self._count(ticket)
        self._fill()

    def token(self, token: Token) -> None:
        """A token came in. One that is late, double or out of order must not reach a client."""
        ticket = self._running.get(token.request)
        if ticket is None or token.epoch != self.epoch:
            return
        if token.index != len(ticket.delivered):
            self._give_up(ticket, failed(f"token {token.index} came where {len(ticket.delivered)} was due"))
            return
        if ticket.first_token_at is None:
            ticket.first_token_at = time.monotonic()
        ticket.delivered.append(token.token)
        if token.finished is not None:
            del self._running[ticket.id]
            self.lines.free_place(ticket.key)
            self._fill()
        ticket.put(token)

    def failed(self, message: Failed) -> None:
        """The workers cannot go on with this one request."""
        ticket = self._running.get(message.request)
        if ticket is not None and message.epoch == self.epoch:
            self._give_up(ticket, failed(message.error))

    def interrupt(self, why: str) -> None:
        """The gang is lost: nobody gets another token."""
        self.epoch = None
        for ticket in (*self._running.values(), *(waiting for line in self.lines for waiting in line.waiting)):
            ticket.put(interrupted(why, len(ticket.delivered)) if ticket.submitted_at else not_ready(why))
        self._running.clear()
        self.lines.clear()

    def open(self, epoch: int) -> None:
        """The gang is ready; requests are answered from now on."""
        self.epoch = epoch
        self._fill()

    def _fill(self) -> None:
        while self.epoch is not None and (ticket := self.lines.give_place()) is not None:
            ticket.submitted_at = time.monotonic()
            self._running[ticket.id] = ticket
            self._send(
                Submit(
                    request=ticket.id,
                    epoch=self.epoch,
                    prompt=ticket.prompt,
                    max_tokens=ticket.max_tokens,
                    eos=ticket.eos,
                    sampling=ticket.sampling,
                )
            )

    def _give_up(self, ticket: Ticket, error: ApiError) -> None:
        log.error("request failed", extra={"request": ticket.id, "error": str(error)})
        ticket.put(error)

    def _refusal(self, line: Line[Ticket]) -> ApiError:
        """With the time when a place should be free for somebody who comes back, from how long requests took lately."""
        expected_s = self.lines.wait_s(line.name, self._usual_duration_s)
        retry_after_s = max(1, min(_MOST_RETRY_S, math.ceil(expected_s)))
        if line.is_at_its_limit and self._has_keys:
            return key_at_its_limit(line.places, len(line.waiting), retry_after_s)
        return queue_full(len(line.waiting), retry_after_s)

    def _count(self, ticket: Ticket) -> None:
        """Metrics and the log line of a request that is over. The log has counts and times, never text."""
        now = time.monotonic()
        metrics, written = self._metrics, len(ticket.delivered)
        metrics.requests.labels(ticket.outcome).inc()
        metrics.generation_tokens.inc(written)
        if self._has_keys:
            self._count_for_key(ticket)
        if ticket.submitted_at is not None:
            metrics.prompt_tokens.inc(len(ticket.prompt))
            metrics.queue_s.observe(ticket.submitted_at - ticket.arrived_at)
            metrics.request_s.observe(now - ticket.arrived_at)
            self._usual_duration_s += 0.2 * (now - ticket.submitted_at - self._usual_duration_s)
        if ticket.first_token_at is not None:
            metrics.first_token_s.observe(ticket.first_token_at - ticket.arrived_at)
            if written > 1:
                metrics.per_token_s.observe((now - ticket.first_token_at) / (written - 1))
        fields = {"request": ticket.id, "outcome": ticket.outcome, "prompt_tokens": len(ticket.prompt), "tokens": written}
        log.info("request ended", extra={**fields, "key": ticket.key, "duration_s": round(now - ticket.arrived_at, 3)})

    def _count_for_key(self, ticket: Ticket) -> None:
        """By the key's name: the key itself is never shown."""
        metrics = self._metrics
        metrics.key_requests.labels(ticket.key, ticket.outcome).inc()
        metrics.key_generation_tokens.labels(ticket.key).inc(len(ticket.delivered))
        if ticket.submitted_at is not None:
            metrics.key_prompt_tokens.labels(ticket.key).inc(len(ticket.prompt))
            metrics.key_queue_s.labels(ticket.key).observe(ticket.submitted_at - ticket.arrived_at)
