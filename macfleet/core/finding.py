"""A check's answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`unknown` is its own verdict: nobody could look, which is neither good nor bad news."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"

    @property
    def is_as_wanted(self) -> bool:
        return self in (Verdict.OK, Verdict.WARN)


@dataclass(frozen=True)
class Finding:
    """What is, what is wanted, why it matters and what to do. `why` and `hint` are whole sentences without a full stop."""

    check: str
    verdict: Verdict
    have: str
    want: str
    why: str = ""
    hint: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "have": self.have,
            "want": self.want,
            "why": self.why,
            "hint": self.hint,
        }
