"""What rank 0 does next, so that every stage has work, no answer and no short prompt waits for all of a long one, and nothing is
computed twice. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from macfleet.engines.protocol import Failed, Sampling, Submit, Token
from macfleet.worker.chunks import alone, alone_at_first, beside_answers
from macfleet.worker.costs import Costs, StageCosts, best_lanes
from macfleet.worker.engine import NotPicked, Picked, Reach, Reuse
from macfleet.worker.frames import Kind, Member
from macfleet.worker.held import Held
from macfleet.worker.lanes import Lanes
from macfleet.worker.prefixes import Prefixes


@dataclass(frozen=True)
class Step:
    """One thing to send through the stages.

    PREFILL carries tokens of one slot, the first of which is its number `position`. DECODE carries one token of each member of
    the lane `slot`. OPEN may go on from a kept prefix; KEEP and DROP name one in `position`.
    """

    kind: Kind
    slot: int = 0
    position: int = 0
    tokens: tuple[int, ...] = ()
    members: tuple[Member, ...] = ()
    reuse: Reuse | None = None


@dataclass
class _Running:
    slot: int
    submit: Submit
    read: int = 0  # tokens of the prompt that are known or on their way
    reuse: Reuse | None = None
    answer: list[int] = field(default_factory=list)

    @property
    def unread(self) -> int:
        """All but the last token of the prompt: that one is the first to be decoded."""
        return len(self.submit.prompt) - 1 - self.read

    @property
    def newest(self) -> int:
        return self.answer[-1] if self.answer else self.submit.prompt[-1]

    @property
    def position(self) -> int:
        return len(self.submit.prompt) - 1 + len(self.answer)


@dataclass(frozen=True)
class Limits:
    """What a gang can take. `chunks_ahead`: on their way at once, of all prompts. More than keep the stages busy only lie before the
    slowest one, where whoever comes next has to wait for them."""

    concurrency: int
    context_tokens: int
    chunk_tokens: int
    chunks_ahead: int
    can_batch: bool = True
    reach: Reach = Reach.ANY


class Scheduler:
    """Requests from `submit` to their last token, for one epoch of a gang of `world` ranks. `now` is in seconds, of any clock."""

    def __init__(self, epoch: int, world: int, limits: Limits, costs: Costs | None = None):
        self.epoch = epoch
        self._limits = limits
        self.costs = costs or Costs([StageCosts() for _ in range(world)])
        self.lanes = Lanes()
        self._counted_tokens = limits.concurrency * limits.context_tokens  # what the placement has found memory for
        self.prefixes = Prefixes(limits.reach, self._counted_tokens)
        self._kept_from: dict[int, int] = {}  # prefix → the slot whose caches it was
        self._held = Held()
        self._running: dict[int, _Running] = {}
        self._waiting: deque[Submit] = deque()
        self._reading: deque[int] = deque()  # slots whose prompt has chunks to send, in turns
        self._is_shortest_due = True
        self._on_their_way: Counter[int] = Counter()  # slot → its chunks, also of one that is gone
        self._orders: deque[Step] = deque()  # what costs no computing
        self._next_slot = 1
        self._steps_since_chunk = 0

    @property
    def active(self) -> int:
        return len(self._running) + len(self._waiting)

    def submit(self, submit: Submit) -> Failed | None:
        """Take a request on; one that cannot fit is refused at once."""
        if len(submit.prompt) >= self._limits.context_tokens:
            reason = f"a prompt of {len(submit.prompt)} tokens leaves no room in a context of {self._limits.context_tokens}"
            return Failed(request=submit.request, epoch=self.epoch, error=reason)
        self._waiting.append(submit)
        self._start_waiting()
        return None

    def cancel(self, request: str) -> None:
        self._waiting = deque(submit for submit in self._waiting if submit.request != request)
        for running in list(self._running.values()):
            if running.submit.request == request:
                self._end(running)

    def next_step(self, now: float) -> Step | None:
        """What to do now; None when everything that runs is waiting for other stages."""
        if not self._orders and (step := self._chunk() if self._is_chunk_due else self._lane_step(now)) is not None:
            self._make_room()
            self._orders.append(step)
        return self._orders.popleft() if self._orders else None

    @property
    def _is_chunk_due(self) -> bool:
        """A chunk for every round of the lanes: their answers wait for one chunk at most, and so does the first lane's first step."""
        round_steps = max(1, self.lanes.count) if self.lanes.requests else 0
        is_room = self._on_their_way.total() < self._limits.chunks_ahead
        return bool(self._reading) and is_room and self._steps_since_chunk >= round_steps

    def sampling_of(self, slot: int) -> Sampling:
        return self._running[slot].submit.sampling

    # --- what comes back

    def filled(self, slot: int, tokens: int, step_s: Sequence[float]) -> None:
        """A chunk has gone through all stages."""
        self.costs.measured_chunk(tokens, step_s)
        self._chunk_came_back(slot)

    def picked(
        self, lane: int, members: Sequence[Member], rows: Sequence[Picked | NotPicked], step_s: Sequence[float], now: float
    ) -> list[Token | Failed]:
        """The next token of each of these members is known. What nobody waits for any more is left out.

        `now` is less than the clock says by what the step has lain at busy ranks: it tells what the way itself takes.
        """
        if (sent_at := self._came_back(lane)) is not None:
            self.costs.measured_step(len(members), step_s, now - sent_at)
        said = [self._row(member.slot, row) for member, row in zip(members, rows, strict=True)]
        return [message for message in said if message is not None]

    def failed(self, slot: int, members: Sequence[Member], reason: str) -> list[Failed]:
        """A stage could not compute a chunk of this slot, or the step of this lane; or not open or keep this slot."""
        if members:
            self._came_back(slot)
        else:
            self._chunk_came_back(slot)
            self._distrust(slot)
        slots = [member.slot for member in members] or [slot]
        return [self._fail(self._running[one], reason) for one in slots if one in self._running]

    def _chunk_came_back(self, slot: int) -> None:
        """One that fails is not told from an order that fails: of those there may be more than chunks."""
        self._on_their_way[slot] -= 1
        if self._on_their_way[slot] <= 0:
            del self._on_their_way[slot]

    def _distrust(self, slot: int) -> None:
        """A stage that failed to keep a prefix fails all that go on from it: nobody else is to try."""
        running = self._running.get(slot)
        suspects = [number for number, kept_from in self._kept_from.items() if kept_from == slot]
        if running is not None and running.reuse is not None and running.reuse.prefix in self._kept_from:
            suspects.append(running.reuse.prefix)
        for number in suspects:
            self.prefixes.forget(number)
        self._drop(suspects)

    def _came_back(self, number: int) -> float | None:
        lane = self.lanes.came_back(number)
        if lane is None:
            return None
        sent_at, lane.sent_at = lane.sent_at, None
        return sent_at

    def _row(self, slot: int, row: Picked | NotPicked) -> Token | Failed | None:
        running = self._running.get(slot)
        if running is None:
            return None
        if isinstance(row, NotPicked):
            return self._fail(running, row.reason)
        running.answer.append(row.token)
        token = Token(
            request=running.submit.request,
            epoch=self.epoch,
            index=len(running.answer) - 1,
            token=row.token,
            logprob=row.logprob,
            top_logprobs=row.top_logprobs,
            finished=self._finished(running),
        )
        if token.finished is not None:
            self._end(running, is_done=True)
        return token

    def _finished(self, running: _Running) -> Literal["stop", "length"] | None:
        if running.newest in running.submit.eos:
            return "stop"
        is_full = len(running.submit.prompt) + len(running.answer) >= self._limits.context_tokens
        return "length" if is_full or len(running.answer) >= running.submit.max_tokens else None

    # --- what goes out

    def _lane_step(self, now: float) -> Step | None:
        lane = self.lanes.next_ready(self._wanted_lanes())
        if lane is None:
            return None
        lane.sent_at = now
        self._steps_since_chunk += 1
        rows = [self._running[slot] for slot in lane.slots]
        self._held.stepped(lane.number, lane.slots)
        members = tuple(Member(running.slot, running.position) for running in rows)
        return Step(Kind.DECODE, lane.number, tokens=tuple(running.newest for running in rows), members=members)

    def _wanted_lanes(self) -> int:
        requests = self.lanes.requests
        return best_lanes(self.costs, requests, self.lanes.count) if self._limits.can_batch else max(1, requests)

    def _chunk(self) -> Step:
        running = self._whose_chunk()
        position, length = running.read, min(self._chunk_tokens(running), running.unread)
        running.read += length
        self._on_their_way[running.slot] += 1
        self._held.fed(running.slot, length)
        self._steps_since_chunk = 0
        if running.unread:
            self._reading.append(running.slot)
        else:
            self.lanes.join(running.slot)
        return Step(Kind.PREFILL, running.slot, position, running.submit.prompt[position : position + length])

    def _whose_chunk(self) -> _Running:
        """By turns the prompt with the least to read, which is soon done, and the one that has waited longest, so that none starves."""
        least = min(self._reading, key=lambda slot: self._running[slot].unread)
        slot = least if self._is_shortest_due else self._reading[0]
        self._is_shortest_due = not self._is_shortest_due
        self._reading.remove(slot)
        return self._running[slot]

    def _chunk_tokens(self, running: _Running) -> int:
        """Short beside running answers; alone, so that a long prompt is in several stages at once and a short one in one piece."""
        costs, most, stages = self.costs, self._limits.chunk_tokens, len(self.costs.stages)
        if not costs.are_chunks_known:
            return alone_at_first(len(running.submit.prompt), stages, most)
        if self.lanes.requests and costs.is_known:
            return beside_answers(costs.chunk_s, costs.cycle_s(self.lanes.requests, max(1, self.lanes.count)), stages, most)
        return alone(costs.chunk_s, running.unread, stages, most)

    # --- beginnings and ends

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < self._limits.concurrency:
            slot, self._next_slot = self._next_slot, self._next_slot + 1
            self._start(_Running(slot, self._waiting.popleft()))

    def _start(self, running: _Running) -> None:
        self._running[running.slot] = running
        running.reuse = reuse = self.prefixes.find(running.submit.prompt)
        running.read = reuse.tokens if reuse else 0
        self._held.opened(running.slot, running.read, copied=self.prefixes.length(reuse.prefix) if reuse else 0)
        self._orders.append(Step(Kind.OPEN, running.slot, reuse=reuse))
        self._make_room()
        if running.unread:
            self._reading.append(running.slot)
        else:
            self.lanes.join(running.slot)

    def _make_room(self) -> None:
        """For what runs, before a stage takes the memory: what is kept is only what else the placement has counted."""
        self._drop(self.prefixes.shrink(self._counted_tokens - self._held.tokens, self._most_kept))

    @property
    def _most_kept(self) -> int | None:
        """A state or a window is as large for a few tokens as for many, and is counted once for each place."""
        return None if self._limits.reach is Reach.ANY else self._limits.concurrency - len(self._running)

    def _keep(self, running: _Running) -> None:
        """What is in the caches now: the prompt and the answer without its newest token, which no stage has seen."""
        self._drop(self.prefixes.shrink(self._counted_tokens - self._held.beside(running.slot), self._most_kept))
        number, dropped = self.prefixes.keep((*running.submit.prompt, *running.answer[:-1]))
        self._drop(dropped)
        if number is not None:
            self._kept_from[number] = running.slot
            self._orders.append(Step(Kind.KEEP, running.slot, number))

    def _drop(self, prefixes: Sequence[int]) -> None:
        for number in prefixes:
            self._kept_from.pop(number, None)
        self._orders.extend(Step(Kind.DROP, position=number) for number in prefixes)

    def _fail(self, running: _Running, reason: str) -> Failed:
        self._end(running)
        return Failed(request=running.submit.request, epoch=self.epoch, error=reason)

    def _end(self, running: _Running, *, is_done: bool = False) -> None:
        """Its place is free. What a finished request has in the caches is kept for the next turn of its conversation."""
        del self._running[running.slot]
        self.lanes.leave(running.slot)
        self._reading = deque(slot for slot in self._reading if slot != running.slot)
        if is_done:
            self._keep(running)
        self._held.freed(running.slot)
        # One that was cancelled before any rank heard of it: nobody will know how it was to be sampled, nor has a slot to free.
        unopened = [step for step in self._orders if step.kind is Kind.OPEN and step.slot == running.slot]
        if unopened:
            self._orders.remove(unopened[0])
        else:
            self._orders.append(Step(Kind.FREE, running.slot))
        self._start_waiting()
