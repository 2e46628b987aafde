"""`macmon pipe -s 1`: power and temperature without root. Its JSON gained and renamed keys from 0.6 to 0.8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import PROGRAM_MISSING, parse_json_object, unparsable


@dataclass(frozen=True)
class PowerSample:
    """Watts and degrees Celsius over one second. `gpu_ratio` is how busy the GPU was, 0 to 1."""

    system_w: float
    cpu_w: float
    gpu_w: float
    gpu_ratio: float
    cpu_celsius: float
    gpu_celsius: float


def parse_macmon(text: str) -> PowerSample:
    """The last sample. Only keys that all versions have are read."""
    lines = text.strip().splitlines()
    if not lines:
        raise unparsable("macmon", "no sample")
    sample = parse_json_object("macmon", lines[-1])
    temperatures, gpu = sample.get("temp"), sample.get("gpu_usage")
    if not isinstance(temperatures, dict) or not isinstance(gpu, list) or len(gpu) != 2:
        raise unparsable("macmon", "no temperatures or no GPU usage")
    return PowerSample(
        system_w=_number(sample, "sys_power"),
        cpu_w=_number(sample, "cpu_power"),
        gpu_w=_number(sample, "gpu_power"),
        gpu_ratio=_number({"gpu_usage": gpu[1]}, "gpu_usage"),
        cpu_celsius=_number(temperatures, "cpu_temp_avg"),
        gpu_celsius=_number(temperatures, "gpu_temp_avg"),
    )


def _understand(results: Sequence[Result]) -> PowerSample | Unknown | None:
    if results[0].exit_status == PROGRAM_MISSING:
        return None
    return parse_macmon(results[0].stdout) if results[0].ok else Unknown(results[0].failure())


# None: macmon is not installed. Without `-s` it would never end.
POWER: Fact[PowerSample | None] = Fact("power", (command("macmon", "pipe", "-s", "1", "-i", "1000", timeout_s=15),), _understand)


def _number(sample: dict[str, Any], key: str) -> float:
    value = sample.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise unparsable("macmon", f"no {key}")
    return float(value)
