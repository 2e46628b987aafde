"""Sizes and durations as people write them, as bytes and seconds."""

from __future__ import annotations

import re
from datetime import datetime

KIB, MIB, GIB, TIB = 1024, 1024**2, 1024**3, 1024**4
_SIZES = {"B": 1, "KIB": KIB, "MIB": MIB, "GIB": GIB, "TIB": TIB, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_DURATIONS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def parse_size(text: str) -> int:
    """Bytes from "448 GiB" (binary) or "378 GB" (decimal).

    Raises ValueError with the correction when the unit is missing or unknown: a bare number is never guessed at.
    """
    match = _NUMBER_UNIT.fullmatch(str(text))
    if match is None or match[2].upper() not in _SIZES:
        number = re.match(r"\s*(\d+(?:\.\d+)?)", str(text))
        example = number[1] if number else "448"
        raise ValueError(f'"{text}" is not a size; write "{example} GiB"')
    return int(float(match[1]) * _SIZES[match[2].upper()])


def format_size(size_bytes: int) -> str:
    """The shortest binary spelling: `448 GiB`, `1.5 GiB`, `640 MiB`, `12 B`."""
    for unit, factor in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(size_bytes) >= factor:
            return f"{size_bytes / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size_bytes} B"


def parse_duration(text: str) -> float:
    """Seconds from "10 min", "30 s", "1.5 h". Raises ValueError with the correction when the unit is missing."""
    match = _NUMBER_UNIT.fullmatch(str(text))
    if match is None or match[2] not in _DURATIONS:
        number = re.match(r"\s*(\d+(?:\.\d+)?)", str(text))
        example = number[1] if number else "30"
        raise ValueError(f'"{text}" is not a duration; write "{example} s" or "{example} min"')
    return float(match[1]) * _DURATIONS[match[2]]


def format_duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s} s" if rest_s else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def clock_time(epoch_s: float) -> str:
    """`03:12:40`, the time of day where the operator is."""
    return f"{datetime.fromtimestamp(epoch_s):%H:%M:%S}"
