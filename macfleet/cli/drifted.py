"""What is otherwise than before, as people and scripts read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from macfleet.cli.output import Output, column_width
from macfleet.core.finding import Verdict
from macfleet.core.words import count

if TYPE_CHECKING:
    from macfleet.serving.drift import Drifted, Run
    from macfleet.serving.verify import Verification


def answer_drift(output: Output, before: Run, verification: Verification) -> None:
    """The drift since that run, in place of all that is as it was."""
    from macfleet.serving.drift import drift

    found = drift(before.snapshot, verification)
    if output.json_wanted:
        output.json({**verification.as_json(), "since": before.as_json(), "drift": [each.as_json() for each in found]})
        return
    if before.snapshot.macs.keys() != {mac.mac for mac in verification.macs}:
        output.talk(f"run {before.id} was about other Macs as well, or about fewer: what concerns the fleet as a whole is not compared")
    show_drift(output, found)
    same = "nothing is" if not found else f"{count(len(found), 'check says', 'checks say')} something"
    output.answer(f"{same} otherwise than at run {before.id}, {before.time}; {verification.sentence()}")


def show_drift(output: Output, found: Sequence[Drifted]) -> None:
    """`studio-2  power  fail: sleep 1; was ok: as wanted`, coloured by the worst that holds now."""
    where, check = column_width([each.where for each in found]), column_width([each.check for each in found])
    for each in found:
        line = Text(f"{each.where:<{where}}  {each.check:<{check}}  ") + Text(each.line(), style=_style(each))
        output.answer(line)


def _style(drifted: Drifted) -> str:
    return {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.UNKNOWN: "magenta"}[drifted.verdict]
