"""When the jobs of services last gave a sign of life, by the Mac's own clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import basename, dirname

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import parse_json_object, parse_whole, says, unparsable

# engines/mlx.py tells the jobs to write there.
KINDS = {"heartbeat.json": "worker", "gateway-heartbeat.json": "gateway"}
_SCRIPT = """date +%s; for beat; do printf '%s\\t' "$beat"; head -c 4096 "$beat"; echo; done"""


@dataclass(frozen=True)
class Heartbeat:
    """The last one of the job `label`, by its process `pid`, so many seconds ago."""

    label: str
    pid: int
    age_s: float


def parse_heartbeats(text: str) -> tuple[Heartbeat, ...]:
    """The Mac's time, then a line for each file: its path, a tab, what it holds."""
    now, *lines = text.strip().splitlines() or [""]
    if not now:
        return ()
    now_s = parse_whole("date +%s", "the time", now)
    return tuple(_parse_line(line, now_s) for line in lines)


def _parse_line(line: str, now_s: int) -> Heartbeat:
    path, tab, content = line.partition("\t")
    kind, row = KINDS.get(basename(path)), parse_json_object("cat", content) if tab else {}
    match row:
        case {"pid": int(pid), "time": int() | float() as time_s} if kind and 0 < time_s < 2**40:
            return Heartbeat(f"dev.macfleet.{basename(dirname(path))}.{kind}", pid, now_s - time_s)
    raise unparsable("cat", f'"{line[:60]}" is no heartbeat of a job')


def heartbeats(paths: MacPaths) -> Fact[tuple[Heartbeat, ...]]:
    """Of every service that was ever deployed here, also of jobs that run no more."""

    def understand(results: Sequence[Result]) -> tuple[Heartbeat, ...] | Unknown:
        result = results[0]
        if result.ok:
            return parse_heartbeats(result.stdout)
        return () if says(result, "No such file or directory") and not result.stdout else Unknown(result.failure())

    named = ("(", "-name", "heartbeat.json", "-o", "-name", "gateway-heartbeat.json", ")")
    question = command("find", paths.services, *named, "-exec", "sh", "-c", _SCRIPT, "sh", "{}", "+", timeout_s=20)
    return Fact("heartbeats", (question,), understand)
