"""The checks as this controller makes them: it knows which runtime it would install."""

from __future__ import annotations

from functools import cache

from macfleet.checks import checks_for
from macfleet.checks.base import Check
from macfleet.checks.past import Past
from macfleet.macos.runtime import Bundle
from macfleet.serving.wheel import read_bundle


@cache
def checks_of_this_controller() -> tuple[Check, ...]:
    """All checks of one Mac, without a past."""
    return checks_for(_bundle())


def checks_with(past: Past) -> tuple[Check, ...]:
    """The same, which also know what earlier looks saw."""
    return checks_for(_bundle(), past)


@cache
def _bundle() -> Bundle:
    """The sources are packed once in a run: those of a later moment would be another expectation."""
    return read_bundle()
