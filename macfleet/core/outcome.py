"""What one run gave on each Mac: every Mac has an Outcome, failures included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from macfleet.core.errors import MacfleetError

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """One Mac's answer: `value`, or the `error` that stood in its way."""

    mac: str
    value: T | None = None
    error: MacfleetError | None = None
    duration_s: float = 0.0

    @property
    def ok(self) -> bool:
        return self.error is None


@dataclass(frozen=True)
class Report(Generic[T]):
    """The outcomes of many Macs, in inventory order."""

    outcomes: tuple[Outcome[T], ...]

    def __iter__(self) -> Iterator[Outcome[T]]:
        return iter(self.outcomes)

    def __getitem__(self, mac: str) -> Outcome[T]:
        return next(outcome for outcome in self.outcomes if outcome.mac == mac)

    @property
    def ok(self) -> bool:
        return all(outcome.ok for outcome in self.outcomes)

    def values(self) -> dict[str, T]:
        """Mac name → value, of the Macs that answered."""
        return {outcome.mac: outcome.value for outcome in self.outcomes if outcome.ok}  # type: ignore[misc]  # ok means value

    def errors(self) -> dict[str, MacfleetError]:
        return {outcome.mac: outcome.error for outcome in self.outcomes if outcome.error is not None}
