"""The thread that computes: takes events in order (what the gateway says, frames, a lost link) and drives the engine."""

from __future__ import annotations

import logging
import math
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from macfleet.core.errors import MacfleetError
from macfleet.engines.protocol import Assemble, Broken, Cancel, FromGateway, FromWorker, Ready, Reset, Submit, Work
from macfleet.worker.config import WorkerConfig
from macfleet.worker.costs import Costs, StageCosts
from macfleet.worker.engine import Engine, NotPicked, Tensor
from macfleet.worker.errors import described, unexpected
from macfleet.worker.frames import NOTHING, Frame, FrameBroken, Kind, text
from macfleet.worker.link import Link, LinkDead, LinkLost
from macfleet.worker.opening import Opening, read_opening, render_opening
from macfleet.worker.picked import read_picked, render_picked
from macfleet.worker.scheduler import Limits, Scheduler, Step

log = logging.getLogger("macfleet.worker")

_ANSWERS = (Kind.FILLED, Kind.PICKED, Kind.FAILED)
_TIMED = (Kind.PREFILL, Kind.DECODE)


@dataclass(frozen=True)
class Stop:
    """The process ends: finish the step that runs and return."""


Event = FromGateway | Frame | LinkLost | Stop
Inbox = SimpleQueue[Event]


class Runner:
    """One rank of a gang, from `assemble` to `assemble`. Everything here happens on the thread that calls `run`.

    `say` hands a message to the control plane. `busy_since` (monotonic seconds) and `active` are read by the heartbeat.
    """

    def __init__(self, config: WorkerConfig, engine: Engine, link: Link, inbox: Inbox, say: Callable[[FromWorker], None]):
        self._config = config
        self._engine = engine
        self._link = link
        self._inbox = inbox
        self._say = say
        self._slots: set[int] = set()
        self._prefixes: set[int] = set()
        self._early: list[Frame] = []  # from a neighbour who heard of the new epoch before we did
        self._link_deadline: float | None = None
        self._is_linked = False
        self._prefix_hits = self._reused_tokens = 0  # of the epochs before this one
        self._costs = Costs([StageCosts() for _ in range(config.world)])  # what a step takes does not change with the epoch
        self._scheduler = self._new_scheduler(0)
        self.epoch = 0
        self.busy_since: float | None = None
        self._busy_s = 0.0
        self._sent_bytes = 0
        self._reported = (time.monotonic(), 0.0)

    def work(self) -> Work:
        """What was done since the last call, and in all. From the main thread: numbers that are read once, a little late at most."""
        now, scheduler = time.monotonic(), self._scheduler
        since, busy_before = self._reported
        busy_s = self._busy_s + (now - begun if (begun := self.busy_since) is not None else 0.0)
        self._reported = (now, busy_s)
        share = min(1.0, max(0.0, busy_s - busy_before) / max(now - since, 1e-6))
        if not self._config.is_first:
            return Work(busy_share=share, sent_bytes=self._sent_bytes)
        prefixes, sizes = scheduler.prefixes, scheduler.lanes.sizes
        return Work(
            busy_share=share,
            sent_bytes=self._sent_bytes,
            lanes=sizes,
            step_s=scheduler.costs.slowest_step_s(max(sizes, default=1)),
            stage_step_s=scheduler.costs.steps_s(max(sizes, default=1)),
            prefix_hits=self._prefix_hits + prefixes.hits,
            prefix_tokens=prefixes.tokens,
            reused_tokens=self._reused_tokens + prefixes.reused_tokens,
        )

    @property
    def active(self) -> int:
        return self._scheduler.active if self._config.is_first else len(self._slots)

    def run(self) -> None:
        """Until Stop. Raises LinkDead when only a new process can link again."""
        while True:
            step = self._scheduler.next_step(time.monotonic()) if self._is_linked and self._inbox.empty() else None
            if step is not None:
                self._compute(self._frame_of(step))
                continue
            try:
                event = self._inbox.get(timeout=self._patience())
            except Empty:
                self._give_up(f"no probe came from the previous rank within {self._config.link_deadline_s:g} s")
                continue
            if isinstance(event, Stop):
                return
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case Assemble():
                self._assemble(event)
            case Reset():
                self._drop_all(event.epoch)
            case Submit():
                self._submit(event)
            case Cancel():
                self._scheduler.cancel(event.request)
            case LinkLost():
                if event.epoch in (None, self.epoch) and self._is_assembled:
                    self._give_up(event.error)
            case Frame():
                self._arrived(event)

    # --- epochs

    def _assemble(self, message: Assemble) -> None:
        self._drop_all(message.epoch)
        log.info("epoch %d: assembling", message.epoch)
        if self._config.world == 1:
            self._is_linked = True
            self._say(Ready(rank=self._config.rank, epoch=self.epoch))
            return
        self._link_deadline = time.monotonic() + self._config.link_deadline_s
        try:
            self._link.assemble(message)
        except LinkDead:
            raise
        except (MacfleetError, OSError) as error:
            self._give_up(str(error))
        early, self._early = self._early, []
        for frame in early:
            self._arrived(frame)

    def _drop_all(self, epoch: int) -> None:
        """No request survives; the weights do."""
        for slot in self._slots:
            self._engine.free(slot)
        for prefix in self._prefixes:
            self._engine.drop(prefix)
        self._slots.clear()
        self._prefixes.clear()
        self._prefix_hits += self._scheduler.prefixes.hits
        self._reused_tokens += self._scheduler.prefixes.reused_tokens
        self._scheduler = self._new_scheduler(epoch)
        self.epoch = epoch
        self._is_linked = False
        self._link_deadline = None

    def _give_up(self, reason: str) -> None:
        """This epoch is over for us; the gateway decides about the next one."""
        log.error("epoch %d is broken: %s", self.epoch, reason)
        epoch = self.epoch
        self._drop_all(epoch)
        self._say(Broken(rank=self._config.rank, epoch=epoch, error=reason))
        if not self._link.can_be_remade:
            raise LinkDead(f"the link is dead ({reason}), and only a new process can link again", mac=self._config.mac)

    @property
    def _is_assembled(self) -> bool:
        """Or on its way there: there is an epoch for us, from Assemble until it breaks or a Reset comes."""
        return self._is_linked or self._link_deadline is not None

    def _patience(self) -> float | None:
        return None if self._link_deadline is None else max(0.0, self._link_deadline - time.monotonic())

    def _new_scheduler(self, epoch: int) -> Scheduler:
        config = self._config
        limits = Limits(
            concurrency=config.concurrency,
            context_tokens=config.context_tokens,
            chunk_tokens=config.prefill_chunk_tokens,
            chunks_ahead=config.world + 1,
            can_batch=self._engine.can_batch,
            reach=self._engine.reach,
        )
        return Scheduler(epoch, config.world, limits, self._costs)

    # --- requests, on rank 0

    def _submit(self, submit: Submit) -> None:
        if submit.epoch != self.epoch or not self._is_linked:
            return
        refused = self._scheduler.submit(submit)
        if refused is not None:
            self._say(refused)

    def _frame_of(self, step: Step) -> Frame:
        content = NOTHING
        if step.kind is Kind.OPEN:
            content = render_opening(Opening(self._scheduler.sampling_of(step.slot), step.reuse))
        elif step.kind is Kind.PREFILL:
            content = Tensor("int32", (1, len(step.tokens)), array("i", step.tokens).tobytes())
        elif step.kind is Kind.DECODE:
            content = Tensor("int32", (len(step.tokens), 1), array("i", step.tokens).tobytes())
        return Frame(step.kind, self.epoch, step.slot, step.position, content, members=step.members)

    def _returned(self, frame: Frame) -> None:
        try:
            self._understand(frame)
        except Exception as error:
            log.error("epoch %d: %s: %s", self.epoch, _named(frame), described(error), exc_info=unexpected(error))
            self._give_up(f"{frame.kind.name} makes no sense: {described(error)}")

    def _understand(self, frame: Frame) -> None:
        _check_measured(frame)
        scheduler, now = self._scheduler, time.monotonic()
        match frame.kind:
            case Kind.FILLED:
                scheduler.filled(frame.slot, frame.position, frame.step_s)
            case Kind.PICKED:
                rows, waited_s = read_picked(frame.content), frame.waited_s + _lain(frame, now)
                for message in scheduler.picked(frame.slot, frame.members, rows, frame.step_s, now - waited_s):
                    self._say(message)
            case Kind.FAILED:
                for failed in scheduler.failed(frame.slot, frame.members, bytes(frame.content.data).decode(errors="replace")):
                    self._say(failed)

    # --- frames, on every rank

    def _arrived(self, frame: Frame) -> None:
        if frame.epoch > self.epoch:
            self._early.append(frame)
            return
        if frame.epoch < self.epoch or not self._is_assembled:  # what still comes of an epoch that is over
            return
        if frame.kind is Kind.PROBE:
            self._is_linked, self._link_deadline = True, None
            self._say(Ready(rank=self._config.rank, epoch=self.epoch))
        elif frame.kind in _ANSWERS:
            self._give_on(frame)
        else:
            self._compute(frame)

    def _compute(self, frame: Frame) -> None:
        """Apply my layers to one frame and give the result on. Whatever goes wrong is the error of the requests in it only."""
        self.busy_since = started = time.monotonic()
        try:
            result = self._apply(frame)
        except Exception as error:
            log.error("epoch %d: %s: %s", self.epoch, _named(frame), described(error), exc_info=unexpected(error))
            result = replace(frame, kind=Kind.FAILED, content=text(self._says(described(error)).encode()))
        finally:
            self.busy_since = None
            self._busy_s += time.monotonic() - started
        if result is None:
            return
        if frame.kind in _TIMED:
            waited_s = frame.waited_s + _lain(frame, started)
            result = replace(result, step_s=(*frame.step_s, time.monotonic() - started), waited_s=waited_s)
        self._give_on(result)

    def _says(self, reason: str) -> str:
        return f"{self._config.mac} (rank {self._config.rank}): {reason}"

    def _apply(self, frame: Frame) -> Frame | None:
        """What goes to the next rank; None when nothing does."""
        match frame.kind:
            case Kind.PREFILL:
                hidden = self._engine.feed(frame.slot, frame.position, frame.content)
                if hidden is not None:
                    return replace(frame, content=hidden)
                return replace(frame, kind=Kind.FILLED, position=frame.content.shape[1], content=NOTHING)
            case Kind.DECODE:
                slots, positions = [member.slot for member in frame.members], [member.position for member in frame.members]
                if not self._config.is_last:
                    return replace(frame, content=self._engine.step(frame.slot, slots, positions, frame.content))
                rows = self._engine.pick(frame.slot, slots, positions, frame.content)
                named = [NotPicked(self._says(row.reason)) if isinstance(row, NotPicked) else row for row in rows]
                return replace(frame, kind=Kind.PICKED, content=render_picked(named))
            case _:
                self._order(frame)
                return None if self._config.is_last else frame

    def _order(self, frame: Frame) -> None:
        """What every rank does alike."""
        match frame.kind:
            case Kind.OPEN:
                self._slots.add(frame.slot)
                opening = read_opening(frame.content)
                self._engine.open(frame.slot, opening.sampling, opening.reuse)
            case Kind.FREE:
                self._slots.discard(frame.slot)
                self._engine.free(frame.slot)
            case Kind.KEEP:
                self._prefixes.add(frame.position)
                self._engine.keep(frame.slot, frame.position)
            case Kind.DROP:
                self._prefixes.discard(frame.position)
                self._engine.drop(frame.position)

    def _give_on(self, frame: Frame) -> None:
        """To the next rank; answers end at rank 0."""
        if frame.kind in _ANSWERS and self._config.is_first:
            self._returned(frame)
            return
        self._sent_bytes += len(frame.content.data)
        try:
            self._link.send(frame)
        except (MacfleetError, OSError) as error:
            self._give_up(str(error))


def _lain(frame: Frame, until: float) -> float:
    """Seconds since it came, which this rank had other things to do; 0.0 for what was made here."""
    return 0.0 if frame.arrived is None else max(0.0, until - frame.arrived)


def _check_measured(frame: Frame) -> None:
    """What is counted as measured outlives the epoch. Raises FrameBroken."""
    amount = {Kind.FILLED: frame.position, Kind.PICKED: len(frame.members)}.get(frame.kind, 1)
    if amount < 1 or not all(0 <= seconds < math.inf for seconds in frame.step_s):
        raise FrameBroken(f"{amount} tokens in {list(frame.step_s)} seconds")


def _named(frame: Frame) -> str:
    """For the log: `DECODE of lane 3 (slots 1, 2)`, `PREFILL of slot 1`."""
    if frame.members:
        return f"{frame.kind.name} of lane {frame.slot} (slots {', '.join(str(member.slot) for member in frame.members)})"
    return f"{frame.kind.name} of slot {frame.slot}"
