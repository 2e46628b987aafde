"""Findings in one line each. A finding carries its check's name and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding, Verdict

T = TypeVar("T")


class Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def why(self) -> str: ...


def ok(check: Named, have: str, want: str) -> Finding:
    return Finding(check.name, Verdict.OK, have, want, check.why)


def warn(check: Named, have: str, want: str, hint: str = "") -> Finding:
    return Finding(check.name, Verdict.WARN, have, want, check.why, hint)


def fail(check: Named, have: str, want: str, hint: str) -> Finding:
    return Finding(check.name, Verdict.FAIL, have, want, check.why, hint)


def unknown(check: Named, reason: Unknown | str, want: str, hint: str = "") -> Finding:
    """Nobody could look: the reason stands where the state would."""
    have = reason.reason if isinstance(reason, Unknown) else reason
    return Finding(check.name, Verdict.UNKNOWN, have, want, check.why, hint)


def told(facts: Mapping[str, Facts], mac: str, fact: Fact[T]) -> T | Unknown:
    """One Mac's answer among those of many; Unknown of a Mac that did not answer at all."""
    if mac not in facts:
        return Unknown(f"{mac} did not answer")
    answer: T | Unknown = facts[mac].__getitem__(fact)  # facts[mac][fact] makes mypy infer another T from `return`
    return answer


def names(macs: Sequence[str]) -> str:
    """`studio-1, studio-2 and studio-4`"""
    return " and ".join(filter(None, (", ".join(macs[:-1]), macs[-1] if macs else "")))
