"""`smartctl` (Homebrew's smartmontools): how worn the SSD is. Needs no root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import PROGRAM_MISSING, parse_json_object, unparsable

_PROGRAM = "smartctl -a -j"
_DATA_UNIT_BYTES = 512_000
# How large NVMe's fields are; the others have 16 bytes.
_BYTES = {"critical_warning": 1, "percentage_used": 1, "available_spare": 1}
# A bit mask. Every healthy Apple SSD sets 4: it has no error log page. 1 and 2 are a wrong call and a disk that did not open.
_DID_NOT_LOOK = 0b11


@dataclass(frozen=True)
class Ssd:
    """`used_percent` is the wear the maker allows for; `spare_percent` starts at 100 (Apple's own threshold is 99)."""

    model: str
    is_passed: bool
    critical_warning: int
    used_percent: int
    spare_percent: int
    written_bytes: int
    media_errors: int
    unsafe_shutdowns: int


def parse_smartctl(text: str) -> Ssd:
    report = parse_json_object(_PROGRAM, text)
    log, status = report.get("nvme_smart_health_information_log"), report.get("smart_status")
    if not isinstance(log, dict) or not isinstance(status, dict) or not isinstance(status.get("passed"), bool):
        raise unparsable(_PROGRAM, "no NVMe health log or no verdict")
    return Ssd(
        model=str(report.get("model_name", "")),
        is_passed=status["passed"],
        critical_warning=_count(log, "critical_warning"),
        used_percent=_count(log, "percentage_used"),
        spare_percent=_count(log, "available_spare"),
        written_bytes=_count(log, "data_units_written") * _DATA_UNIT_BYTES,
        media_errors=_count(log, "media_errors"),
        unsafe_shutdowns=_count(log, "unsafe_shutdowns"),
    )


def _understand(results: Sequence[Result]) -> Ssd | Unknown | None:
    status = results[0].exit_status
    if status == PROGRAM_MISSING:
        return None
    return Unknown(results[0].failure()) if status is None or status & _DID_NOT_LOOK else parse_smartctl(results[0].stdout)


# None: smartmontools is not installed.
SSD: Fact[Ssd | None] = Fact("ssd", (command("smartctl", "-a", "-j", "disk0", timeout_s=20),), _understand)


def _count(log: dict[str, Any], key: str) -> int:
    value = log.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise unparsable(_PROGRAM, f"the health log has no {key}")
    if not 0 <= value < 1 << 8 * _BYTES.get(key, 16):
        raise unparsable(_PROGRAM, f"{key} is {value}")
    return value
