"""One service as the gateway sees it: its gang, its requests and whether it may answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client.core import Metric

from macfleet.api.errors import ApiError, empty_prompt, not_ready, prompt_too_long, unknown_model
from macfleet.api.request import Request
from macfleet.engines.protocol import Cancel, Failed, Form, FromGateway, FromWorker, Sampling, Submit, Token
from macfleet.gateway.config import GatewayConfig
from macfleet.gateway.desk import Desk, Ticket
from macfleet.gateway.epoch import EpochMemory
from macfleet.gateway.gang import Gang, Phase, Seat, Turn, hear, tick, unreachable
from macfleet.gateway.lines import DEFAULT
from macfleet.gateway.metrics import Metrics, gang_gauges, gauge, key_gauges
from macfleet.gateway.model_text import ModelText, Prepared

log = logging.getLogger(__name__)


class Service:
    """Holds everything together; decisions are in `gang` and `desk`, sockets elsewhere."""

    def __init__(self, config: GatewayConfig, send: Callable[[int, FromGateway], bool]):
        self.config = config
        self.metrics = Metrics()
        self.started_at = int(time.time())
        self.text: ModelText | None = None  # until the tokenizer is loaded
        self.is_draining = False
        self._send = send
        self._memory = EpochMemory(config.state_dir / "epoch")
        self.gang = Gang(tuple(_seat(seat.model_dump()) for seat in config.workers), epoch=self._memory.epoch)
        own_limits = {name: client.concurrency for name, client in config.api_keys.items()}
        self.desk = Desk(config.concurrency, config.queue_limit, self._to_first_rank, self.metrics, own_limits)
        self.metrics.observe(self._gauges)

    def hear(self, message: FromWorker) -> None:
        """A worker said something."""
        match message:
            case Token():
                self.desk.token(message)
            case Failed():
                self.desk.failed(message)
            case _:
                self._take(hear(self.gang, message, time.monotonic()))

    def tick(self) -> None:
        """To be called a few times a second."""
        self._take(tick(self.gang, time.monotonic(), self.config.heartbeat_timeout_s))

    def enter(self, request: Request, prepared: Prepared, key: str = DEFAULT) -> tuple[Ticket, ...]:
        """A place for each answer that is wanted, for the API key of this name.

        Raises ApiError: the prompt empty or too long, the queue full, the key at its limit, the service not ready.
        """
        prompt = prepared.prompt
        room = self.config.context_tokens - len(prompt)
        if not prompt:
            raise empty_prompt(request.prompt_param)
        if room < 1:
            raise prompt_too_long(len(prompt), self.config.context_tokens, request.prompt_param)
        self.check_open()
        self.desk.check_room(request.n, key)
        text = self.loaded_text()
        text.check_tokens(request.sampling.logit_bias, "logit_bias")
        # More than fits is not an error: the answer ends at the context with finish_reason "length".
        wanted = min(request.max_tokens or room, room)
        tickets: list[Ticket] = []
        try:
            for index in range(request.n):
                tickets.append(self.desk.enter(prompt, wanted, _sampling(request, text, index, prepared.grammar), text.eos, key))
        except ApiError:  # telling the first worker has shown that it is gone
            for ticket in tickets:  # all or none
                self.desk.leave(ticket, "refused")
            raise
        return tuple(tickets)

    def check(self, request: Request, key: str) -> None:
        """What can be said before a request is read closely. Raises ApiError."""
        self.check_model(request.model)
        self.check_open()
        self.desk.check_room(request.n, key)

    def check_model(self, name: str) -> None:
        if name != self.config.model:
            raise unknown_model(name, self.config.model)

    def check_open(self) -> None:
        if why := self.why_closed():
            raise not_ready(why)

    def loaded_text(self) -> ModelText:
        if self.text is None:
            raise not_ready("the tokenizer is being loaded", retry_after_s=2)
        return self.text

    def why_closed(self) -> str:
        """Empty when requests are answered."""
        why = self.gang.why_not_ready() or ("" if self.text else "the tokenizer is being loaded")
        if self.is_draining:
            return "; ".join(filter(None, ("it is drained for maintenance", why)))
        return why

    def drain(self, draining: bool) -> None:
        """Take no new requests; those that run or wait are finished."""
        if draining != self.is_draining:
            log.info("draining" if draining else "resumed", extra={"running": self.desk.running, "waiting": self.desk.waiting})
        self.is_draining = draining

    @property
    def state(self) -> str:
        return "draining" if self.is_draining else "loading" if self.text is None else self.gang.phase.value

    def _take(self, turn: Turn) -> None:
        """Makes the turn real: remember the epoch before anybody is told of it, end what is lost, tell the workers."""
        before, self.gang = self.gang, turn.gang
        for note in turn.notes:
            log.info(note, extra={"epoch": turn.gang.epoch, "state": turn.gang.phase.value})
        if turn.gang.epoch != before.epoch:
            self._memory.remember(turn.gang.epoch)
        if turn.interrupted is not None:
            if before.phase is Phase.READY:
                self.metrics.interruptions.inc()
            self.desk.interrupt(turn.interrupted)
        for rank, message in turn.sends:
            if self.gang.epoch == turn.gang.epoch:  # telling one may have shown that it is gone, which ends this epoch
                self._tell(rank, message)
        if turn.gang.phase is Phase.READY and before.phase is not Phase.READY:
            self.desk.open(turn.gang.epoch)

    def _to_first_rank(self, message: Submit | Cancel) -> None:
        self._tell(0, message)

    def _tell(self, rank: int, message: FromGateway) -> None:
        if not self._send(rank, message) and self.gang.seats[rank].is_here:
            self._take(unreachable(self.gang, rank, time.monotonic()))

    def _gauges(self) -> Iterable[Metric]:
        yield gauge("macfleet_requests_running", "Requests in the pipeline", self.desk.running)
        yield gauge("macfleet_requests_waiting", "Requests in the queue", self.desk.waiting)
        yield gauge("macfleet_draining", "1 while new requests are refused for maintenance", self.is_draining)
        if self.config.api_keys:
            yield from key_gauges(self.desk.lines)
        yield from gang_gauges(self.gang, time.monotonic())


def _seat(values: dict[str, Any]) -> Seat:
    del values["public_key"]
    return Seat(**values)


def _sampling(request: Request, text: ModelText, index: int, grammar: str | None) -> Sampling:
    """What the client said, then what the model's makers recommend. Answer `index` of several has a seed of its own."""
    asked = {name: getattr(request.sampling, name) for name in text.sampling_defaults}
    said = {name: value for name, value in asked.items() if value is not None}
    seed = request.sampling.seed
    return Sampling(
        **{**text.sampling_defaults, **said},
        seed=None if seed is None else (seed + index) % 2**64,
        frequency_penalty=request.sampling.frequency_penalty,
        presence_penalty=request.sampling.presence_penalty,
        logit_bias=dict(request.sampling.logit_bias),
        logprobs=request.sampling.logprobs,
        form=None if grammar is None else Form(grammar=grammar, eos=text.eos),
    )
