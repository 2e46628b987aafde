"""`verify --watch`: look again and again, and show what changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from macfleet.cli.drifted import show_drift
from macfleet.cli.session import Session
from macfleet.cli.verify import keep, show
from macfleet.core.errors import RequestError
from macfleet.core.units import clock_time, format_duration, parse_duration

if TYPE_CHECKING:
    from macfleet.checks.base import FleetCheck
    from macfleet.fleet.fleet import Fleet
    from macfleet.serving.drift import Snapshot
    from macfleet.serving.verify import Verification

_SHORTEST_S = 1.0


class Watch:
    """One watch, from the first look to Ctrl-C. Every look is compared with the one before; the past stays that of its beginning,
    so that a restart in the meantime is told once and does not go away before somebody saw it.
    """

    def __init__(self, session: Session, every: str, *, since: str | None, junit: Path | None, about_fleet: Sequence[FleetCheck]):
        if since is not None or junit is not None:
            raise RequestError("--watch shows what changes from now on", hint="leave --since and --junit away, or --watch")
        try:
            self._every_s = max(_SHORTEST_S, parse_duration(every))
        except ValueError as error:
            raise RequestError(f"--every {error}") from None
        self._session = session
        self._about_fleet = about_fleet

    def run(self) -> NoReturn:
        from macfleet.serving.drift import snapshot
        from macfleet.serving.looks import load_kept
        from macfleet.serving.verify import verify

        output = self._session.output
        with self._session.fleet() as fleet:
            kept = load_kept(self._session.inventory.state_dir, fleet.clock.now())
            verification = verify(fleet, past=kept.past, fleet_checks=self._about_fleet)
            self._first(verification)
            keep(self._session, kept, verification)
            before = snapshot(verification)
            output.talk(f"looking again every {format_duration(self._every_s)}; Ctrl-C ends it")
            while True:
                fleet.clock.sleep(self._every_s)
                _try_again(fleet, verification)
                verification = verify(fleet, past=kept.past, fleet_checks=self._about_fleet)
                before = self._next(before, verification, fleet.clock.now())

    def _first(self, verification: Verification) -> None:
        if self._session.output.json_wanted:
            self._session.output.json(verification.as_json())
        else:
            show(self._session.output, verification)

    def _next(self, before: Snapshot, verification: Verification, now_s: float) -> Snapshot:
        """Says nothing when nothing changed. The journal has the first look only: a watch may last for weeks."""
        from macfleet.serving.drift import drift, snapshot

        found, after = drift(before, verification), snapshot(verification)
        if not found:
            return after
        output = self._session.output
        if output.json_wanted:
            output.json({"schema": 1, "drift": [each.as_json() for each in found], "summary": verification.as_json()["summary"]})
        else:
            output.answer(f"{clock_time(now_s)}  {verification.sentence()}")
            show_drift(output, found)
        return after


def _try_again(fleet: Fleet, verification: Verification) -> None:
    """A Mac that did not answer is remembered as away; whoever watches wants to see it come back."""
    for mac in fleet.macs:
        if mac.name not in verification.looks:
            fleet.forget(mac)
