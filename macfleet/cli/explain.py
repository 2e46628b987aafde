"""`macfleet explain`: what a check asks, why it matters, and where that is known from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from macfleet.cli.completion import check_names
from macfleet.cli.output import Output, column_width
from macfleet.cli.session import JsonOption

if TYPE_CHECKING:
    from macfleet.checks.base import Check, FleetCheck
    from macfleet.serving.reachable import Reachable

CheckArgument = Annotated[
    str | None,
    typer.Argument(help="A check as `verify` names it; all of them without it", show_default=False, autocompletion=check_names),
]
_FLEET = "all Macs together"
_MAC = "each Mac"


def explain(
    check: CheckArgument = None,
    json: JsonOption = False,
) -> None:
    """Explain a check: what it asks, why it matters, where that is known from, which commands it reads.

    Example: `macfleet explain wired-memory`

    Reads no Mac and needs no inventory. Fails with 2 when there is no such check.
    """
    output = Output(json_wanted=json)
    told = [_tell(each) for each in _checks() if check in (None, each.name)]
    if not told:
        _refuse(check or "")
    if json:
        output.json({"schema": 1, "checks": told})
    elif check is None:
        width = column_width([each["check"] for each in told])
        for each in told:
            output.answer(f"{each['check']:<{width}}  {each['question']}")
        output.next_step(f"macfleet explain {told[1]['check']}")
    else:
        _show(output, told[0])


def names() -> list[str]:
    """Every word that stands in front of a finding of `verify`."""
    return [check.name for check in _checks()]


def _checks() -> list[Check | FleetCheck | Reachable]:
    from macfleet.checks import FLEET_CHECKS, checks_for
    from macfleet.macos.runtime import Bundle
    from macfleet.serving.reachable import REACHABLE

    # What a check says of itself does not depend on the runtime that this controller would install: nothing is packed for it.
    return [REACHABLE, *checks_for(Bundle(b"", "", b"")), *FLEET_CHECKS]


def _tell(check: Check | FleetCheck | Reachable) -> dict[str, Any]:
    from macfleet.checks import FLEET_CHECKS
    from macfleet.inventory.mac import Mac
    from macfleet.inventory.settings import Settings, Tailscale

    example = Mac("MAC", "MAC", "Mac15,14", 512 * 1024**3, settings=Settings(tailscale=Tailscale(enabled=True)))
    first, _, more = (sys.modules[type(check).__module__].__doc__ or "").partition("?")
    commands = dict.fromkeys(str(command) for fact in check.facts(example) for command in fact.commands)
    return {
        "check": check.name,
        "question": " ".join(first.split()) + "?",
        "about": _FLEET if any(check is each for each in FLEET_CHECKS) else _MAC,
        "why": check.why,
        "details": " ".join(more.split()),
        "source": check.source,
        "commands": list(commands),
    }


def _show(output: Output, told: dict[str, Any]) -> None:
    output.answer(f"{told['check']}, of {told['about']}")
    for word, text in (("asks", told["question"]), ("why", told["why"]), ("more", told["details"]), ("source", told["source"])):
        if text:
            output.answer(f"  {word + ':':<8}{text}")
    for number, command in enumerate(told["commands"]):
        output.answer(f"  {'reads:' if number == 0 else '':<8}{command}")


def _refuse(name: str) -> None:
    from macfleet.core.errors import RequestError
    from macfleet.core.near import did_you_mean

    raise RequestError(f'there is no check "{name}"', hint=did_you_mean(name, names()))
