"""Recorded outputs of real Macs, and results as a connection would bring them."""

from pathlib import Path

from macfleet.core.result import Result

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def recorded(name):
    """The text of a recording: `ops/sw_vers.26.5.txt`."""
    return (FIXTURES / name).read_text(encoding="utf-8")


def answer(fact, *outputs):
    """What `fact` makes of these outputs: a text is exit 0, (status, stdout) and (status, stdout, stderr) are themselves."""
    results = []
    for command, output in zip(fact.commands, outputs, strict=True):
        status, stdout, stderr = (0, output, "") if isinstance(output, str) else (*output, "")[:3]
        results.append(Result(command, status, stdout, stderr))
    return fact.understand(results)
