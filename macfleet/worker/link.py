"""The data plane as the runner sees it: a ring of ranks, each sending to the next one and hearing from the previous one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from macfleet.core.errors import MacfleetError
from macfleet.engines.protocol import Assemble
from macfleet.worker.frames import Frame, FrameBroken


@dataclass(frozen=True)
class LinkLost:
    """A neighbour is gone, or what arrives is not what was sent. `epoch` None: whatever the epoch is."""

    error: str
    epoch: int | None = None


Deliver = Callable[[Frame | LinkLost], None]


class LinkDead(MacfleetError):
    """This link cannot be made again in this process (mx.distributed keeps its dead group): the worker must start anew."""


class Link(Protocol):
    """Every frame arrives once, in order, or the link is lost. What arrives is delivered from a thread of the link's own."""

    @property
    def endpoint(self) -> str | None:
        """Where the previous rank connects to; None when the addresses stand elsewhere."""
        ...

    @property
    def can_be_remade(self) -> bool: ...

    def assemble(self, message: Assemble) -> None:
        """Begin an epoch: link to the next rank and send it a PROBE. Raises LinkDead."""
        ...

    def send(self, frame: Frame) -> None: ...

    def close(self) -> None: ...


@dataclass
class Arrivals:
    """What of the frames that arrive is the next one: older epochs are dropped, a gap is an error."""

    epoch: int = 0
    sequence: int = 0

    def accept(self, frame: Frame) -> bool:
        """Whether to deliver this frame. Raises FrameBroken when one before it was lost."""
        if frame.epoch < self.epoch:
            return False
        if frame.epoch > self.epoch:
            self.epoch, self.sequence = frame.epoch, 0
        if frame.sequence != self.sequence:
            raise FrameBroken(f"frame {frame.sequence} of epoch {frame.epoch} came where {self.sequence} was expected")
        self.sequence += 1
        return True
