"""The checks as this controller makes them: it knows which runtime it would install."""

from __future__ import annotations

from functools import cache

from macfleet.checks import checks_for
from macfleet.checks.base import Check
from macfleet.serving.wheel import read_bundle


@cache
def checks_of_this_controller() -> tuple[Check, ...]:
    """All checks of one Mac. The sources are packed once in a run: those of a later moment would be another expectation."""
    return checks_for(read_bundle())
