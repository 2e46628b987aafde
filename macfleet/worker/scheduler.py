"""What rank 0 does next: every request is a micro-batch of its own, and several are in flight so that every stage works. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from macfleet.engines.protocol import Failed, Sampling, Submit, Token
from macfleet.worker.engine import Picked
from macfleet.worker.frames import Kind


@dataclass(frozen=True)
class Step:
    """One thing to send through the stages. PREFILL and DECODE carry tokens, the first of which is the slot's number `position`."""

    kind: Kind
    slot: int
    position: int = 0
    tokens: tuple[int, ...] = ()


@dataclass
class _Running:
    slot: int
    submit: Submit
    is_open: bool = False
    sent: int = 0  # tokens of the prompt on their way or done
    chunks_in_flight: int = 0
    is_waiting_for_chunk: bool = False
    answered: int = 0
    newest: int | None = None  # the token picked last

    @property
    def position(self) -> int:
        return len(self.submit.prompt) - 1 + self.answered


@dataclass
class Scheduler:
    """Takes turns among requests, so that neither a long prompt nor a long answer keeps the others waiting.

    A prompt goes in chunks that follow each other through the stages, at most `chunks_ahead` at a time; its last token goes
    alone, like mlx-lm's own loop does, so that the head is computed for one position only.
    """

    epoch: int
    concurrency: int
    context_tokens: int
    chunk_tokens: int
    chunks_ahead: int
    _next_slot: int = 1
    _running: dict[int, _Running] = field(default_factory=dict)
    _waiting: deque[Submit] = field(default_factory=deque)
    _turns: deque[int] = field(default_factory=deque)
    _to_free: deque[int] = field(default_factory=deque)

    @property
    def active(self) -> int:
        return len(self._running) + len(self._waiting)

    def submit(self, submit: Submit) -> Failed | None:
        """Take a request on; one that cannot fit is refused at once."""
        if len(submit.prompt) >= self.context_tokens:
            reason = f"a prompt of {len(submit.prompt)} tokens leaves no room in a context of {self.context_tokens}"
            return Failed(request=submit.request, epoch=self.epoch, error=reason)
        self._waiting.append(submit)
        self._start_waiting()
        return None

    def cancel(self, request: str) -> None:
        self._waiting = deque(submit for submit in self._waiting if submit.request != request)
        for running in list(self._running.values()):
            if running.submit.request == request:
                self._end(running)

    def next_step(self) -> Step | None:
        """What to do now; None when everything that runs is waiting for other stages."""
        if self._to_free:
            return Step(Kind.FREE, self._to_free.popleft())
        while self._turns:
            running = self._running.get(self._turns.popleft())
            if running is not None:
                return self._step_of(running)
        return None

    def sampling_of(self, slot: int) -> Sampling:
        return self._running[slot].submit.sampling

    def filled(self, slot: int) -> None:
        """A chunk has gone through all stages."""
        running = self._running.get(slot)
        if running is None:
            return
        running.chunks_in_flight -= 1
        if running.is_waiting_for_chunk:
            running.is_waiting_for_chunk = False
            self._turns.append(slot)

    def picked(self, slot: int, picked: Picked) -> Token | None:
        """The next token of this slot is known. None when nobody waits for it any more."""
        running = self._running.get(slot)
        if running is None:
            return None
        finished = self._finished(running, picked.token)
        token = Token(
            request=running.submit.request,
            epoch=self.epoch,
            index=running.answered,
            token=picked.token,
            logprob=picked.logprob,
            top_logprobs=picked.top_logprobs,
            finished=finished,
        )
        running.answered += 1
        running.newest = picked.token
        if finished is None:
            self._turns.append(slot)
        else:
            self._end(running)
        return token

    def failed(self, slot: int, reason: str) -> Failed | None:
        """A stage could not compute this slot. None when nobody waits for it any more."""
        running = self._running.get(slot)
        if running is None:
            return None
        self._end(running)
        return Failed(request=running.submit.request, epoch=self.epoch, error=reason)

    def _step_of(self, running: _Running) -> Step:
        prompt = running.submit.prompt
        if not running.is_open:
            running.is_open = True
            self._turns.appendleft(running.slot)
            return Step(Kind.OPEN, running.slot)
        if running.newest is not None:
            return Step(Kind.DECODE, running.slot, running.position, (running.newest,))
        position = running.sent
        if position == len(prompt) - 1:
            running.sent += 1
            return Step(Kind.DECODE, running.slot, position, prompt[-1:])
        chunk = prompt[position : min(position + self.chunk_tokens, len(prompt) - 1)]
        running.sent += len(chunk)
        running.chunks_in_flight += 1
        if running.sent == len(prompt) - 1:
            # The last token follows at once: whose prompt is read first gets its first token first, not when all are read.
            self._turns.appendleft(running.slot)
        elif running.chunks_in_flight < self.chunks_ahead:
            self._turns.append(running.slot)
        else:
            running.is_waiting_for_chunk = True
        return Step(Kind.PREFILL, running.slot, position, chunk)

    def _finished(self, running: _Running, token: int) -> Literal["stop", "length"] | None:
        if token in running.submit.eos:
            return "stop"
        answered = running.answered + 1
        if answered >= running.submit.max_tokens or len(running.submit.prompt) + answered >= self.context_tokens:
            return "length"
        return None

    def _end(self, running: _Running) -> None:
        del self._running[running.slot]
        if running.is_open:
            self._to_free.append(running.slot)
        self._start_waiting()

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < self.concurrency:
            slot, self._next_slot = self._next_slot, self._next_slot + 1
            self._running[slot] = _Running(slot, self._waiting.popleft())
            self._turns.append(slot)
