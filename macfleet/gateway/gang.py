"""The gang of workers as a state machine: what was heard in, the next state and what to say out. Pure.

A gang is only as good as its weakest member: one worker lost, new or broken ends the epoch for all. The survivors keep
their weights; what was in flight is interrupted; when every rank is there again, a new epoch is assembled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from macfleet.engines.protocol import Assemble, Broken, FromGateway, Heartbeat, Hello, Leaving, Ready, Reset

# Longer than a worker gives its links (WorkerConfig.link_deadline_s): its own report says more than our deadline.
ASSEMBLY_TIMEOUT_S = 90.0
# After a broken link, so that a gang that breaks at once does not spin.
PAUSE_AFTER_BROKEN_S = 1.0

Said = Hello | Heartbeat | Ready | Broken | Leaving


class Phase(StrEnum):
    """Waiting for workers, proving the links between them, or serving."""

    WAITING = "waiting"
    ASSEMBLING = "assembling"
    READY = "ready"


@dataclass(frozen=True)
class Seat:
    """One rank: the Mac and the layers that belong there, and who sits there as far as we heard."""

    rank: int
    mac: str
    first_layer: int
    last_layer: int
    hello: Hello | None = None
    beat: Heartbeat | None = None
    heard_at: float = 0.0
    is_here: bool = False
    is_ready: bool = False
    trouble: str | None = None  # what it said when it could not go on

    @property
    def is_heard(self) -> bool:
        """It is in the gang, or loads to be."""
        return self.is_here or self.beat is not None

    def __str__(self) -> str:
        return f"the worker on {self.mac} (rank {self.rank})"


@dataclass(frozen=True)
class Gang:
    """All seats in rank order. `epoch` only grows, also over a restart of the gateway."""

    seats: tuple[Seat, ...]
    epoch: int = 0
    phase: Phase = Phase.WAITING
    assemble_after: float = 0.0  # not before
    assembling_since: float = 0.0

    @property
    def is_complete(self) -> bool:
        return all(seat.is_here for seat in self.seats)

    @property
    def missing(self) -> tuple[Seat, ...]:
        return tuple(seat for seat in self.seats if not seat.is_here)

    def why_not_ready(self) -> str:
        """For clients and operators: what the gang is waiting for."""
        if self.phase is Phase.READY:
            return ""
        if self.missing:
            return "waiting for " + ", ".join(f"{seat}: {seat.trouble}" if seat.trouble else str(seat) for seat in self.missing)
        unproved = [str(seat) for seat in self.seats if not seat.is_ready]
        return f"proving the links of epoch {self.epoch}: " + ", ".join(unproved)


@dataclass(frozen=True)
class Turn:
    """The next state and what follows from it. `interrupted`: why everything in flight has ended."""

    gang: Gang
    sends: tuple[tuple[int, FromGateway], ...] = ()
    interrupted: str | None = None
    notes: tuple[str, ...] = ()


def hear(gang: Gang, message: Said, now: float) -> Turn:
    """A worker said something. Its rank was already checked against its key."""
    match message:
        case Hello():
            return _welcome(gang, message, now)
        case Heartbeat():
            return _heartbeat(gang, message, now)
        case Ready():
            return _ready(gang, message)
        case Leaving():
            return _lost(gang, (message.rank,), "ended", now)
        case Broken():
            return _broken(gang, message, now)


def tick(gang: Gang, now: float, heartbeat_timeout_s: float) -> Turn:
    """Time has passed: silent workers are lost, an assembly that takes too long begins anew."""
    silent = tuple(seat.rank for seat in gang.seats if seat.is_heard and now - seat.heard_at > heartbeat_timeout_s)
    if silent:
        return _lost(gang, silent, f"has been silent for {heartbeat_timeout_s:g} s", now)
    if gang.phase is Phase.ASSEMBLING and now - gang.assembling_since > ASSEMBLY_TIMEOUT_S:
        note = f"epoch {gang.epoch} was not assembled in {ASSEMBLY_TIMEOUT_S:g} s, {gang.why_not_ready()}"
        return _noting(_assemble_if_complete(replace(gang, phase=Phase.WAITING), now), note)
    return _assemble_if_complete(gang, now)


def unreachable(gang: Gang, rank: int, now: float) -> Turn:
    """A message to this worker found no connection: it is lost, some seconds before its heartbeat would say so."""
    return _lost(gang, (rank,), "has closed its connection", now)


def _welcome(gang: Gang, hello: Hello, now: float) -> Turn:
    seat = gang.seats[hello.rank]
    if (hello.first_layer, hello.last_layer) != (seat.first_layer, seat.last_layer):
        has, wanted = f"{hello.first_layer}-{hello.last_layer}", f"{seat.first_layer}-{seat.last_layer}"
        return Turn(gang, notes=(f"{seat} has layers {has}, not {wanted}: it stays out until it is deployed again",))
    # The same process greets again when its connection was lost: it has dropped its requests, as a new one has none.
    is_same = seat.hello is not None and seat.hello.pid == hello.pid
    before = Turn(gang)
    if gang.phase is not Phase.WAITING:
        before = _lost(gang, (hello.rank,), "connected anew" if is_same else "started anew", now)
    newcomer = replace(seat, hello=hello, beat=None, heard_at=now, is_here=True, is_ready=False, trouble=None)
    return _then(before, _assemble_if_complete(_seated(before.gang, newcomer), now))


def _heartbeat(gang: Gang, beat: Heartbeat, now: float) -> Turn:
    seat = gang.seats[beat.rank]
    if seat.hello is None or seat.hello.pid != beat.pid:
        return _loads(gang, seat, beat, now)
    gang = _seated(gang, replace(seat, beat=beat, heard_at=now, is_here=True))
    if beat.epoch > gang.epoch:
        # Our memory of the epoch was lost. One that was used must not be used again: its frames may still be on their way.
        return _ended(replace(gang, epoch=beat.epoch), f"{seat} knows a later epoch, {beat.epoch}")
    if seat.is_here:
        return Turn(gang)
    return _noting(_assemble_if_complete(gang, now), f"{seat} is heard again")


def _loads(gang: Gang, seat: Seat, beat: Heartbeat, now: float) -> Turn:
    """A process that has not said hello: it loads its weights, and says hello when it has them."""
    turn = _lost(gang, (seat.rank,), "started anew", now) if seat.is_here else Turn(gang)
    newcomer = replace(seat, hello=None, beat=beat, heard_at=now, is_here=False, is_ready=False)
    return replace(turn, gang=_seated(turn.gang, newcomer))


def _ready(gang: Gang, ready: Ready) -> Turn:
    if gang.phase is not Phase.ASSEMBLING or ready.epoch != gang.epoch:
        return Turn(gang)
    gang = _seated(gang, replace(gang.seats[ready.rank], is_ready=True, trouble=None))
    if not all(seat.is_ready for seat in gang.seats):
        return Turn(gang)
    return Turn(replace(gang, phase=Phase.READY), notes=(f"epoch {gang.epoch} is ready",))


def _broken(gang: Gang, broken: Broken, now: float) -> Turn:
    seat = replace(gang.seats[broken.rank], trouble=broken.error)
    gang, reason = _seated(gang, seat), f"{seat} cannot go on: {broken.error}"
    if gang.phase is Phase.WAITING or broken.epoch != gang.epoch:
        return Turn(gang, notes=(reason,))
    return _ended(replace(gang, assemble_after=now + PAUSE_AFTER_BROKEN_S), reason)


def _lost(gang: Gang, ranks: Sequence[int], what: str, now: float) -> Turn:
    reason = ", ".join(str(gang.seats[rank]) for rank in ranks) + f" {what}"
    for rank in ranks:
        gang = _seated(gang, replace(gang.seats[rank], beat=None, is_here=False, is_ready=False))
    return _ended(gang, reason) if gang.phase is not Phase.WAITING else Turn(gang, notes=(reason,))


def _ended(gang: Gang, reason: str) -> Turn:
    """The epoch is over; who is still there drops its requests and waits."""
    epoch = gang.epoch + 1
    seats = tuple(replace(seat, is_ready=False) for seat in gang.seats)
    gang = replace(gang, seats=seats, epoch=epoch, phase=Phase.WAITING)
    sends = tuple((seat.rank, Reset(epoch=epoch)) for seat in seats if seat.is_here)
    return Turn(gang, sends, interrupted=reason, notes=(reason,))


def _assemble_if_complete(gang: Gang, now: float) -> Turn:
    if gang.phase is not Phase.WAITING or not gang.is_complete or now < gang.assemble_after:
        return Turn(gang)
    seats = tuple(replace(seat, is_ready=False) for seat in gang.seats)
    gang = replace(gang, seats=seats, epoch=gang.epoch + 1, phase=Phase.ASSEMBLING, assembling_since=now)
    sends = tuple((seat.rank, _assemble(gang, seat.rank)) for seat in seats)
    return Turn(gang, sends, notes=(f"assembling epoch {gang.epoch}",))


def _assemble(gang: Gang, rank: int) -> Assemble:
    world = len(gang.seats)
    if world == 1:
        return Assemble(epoch=gang.epoch)
    following, previous = gang.seats[(rank + 1) % world].hello, gang.seats[rank - 1].hello
    assert following is not None, "a complete gang has introduced itself"
    assert previous is not None
    return Assemble(
        epoch=gang.epoch,
        next_endpoint=following.data_endpoint,
        next_public_key=following.data_public_key,
        previous_public_key=previous.data_public_key,
    )


def _seated(gang: Gang, seat: Seat) -> Gang:
    return replace(gang, seats=(*gang.seats[: seat.rank], seat, *gang.seats[seat.rank + 1 :]))


def _noting(turn: Turn, note: str) -> Turn:
    return replace(turn, notes=(note, *turn.notes))


def _then(first: Turn, second: Turn) -> Turn:
    """Both turns as one. A reset that an assemble follows at once is not worth sending."""
    following = {rank for rank, _ in second.sends}
    sends = (*((rank, message) for rank, message in first.sends if rank not in following), *second.sends)
    return Turn(second.gang, sends, first.interrupted or second.interrupted, first.notes + second.notes)
