"""`macfleet facts`: everything that is read of a Mac, as macfleet understands it."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import typer

from macfleet.cli.session import (
    GroupOption,
    InventoryOption,
    JsonOption,
    MacOption,
    Options,
    QuietOption,
    Session,
    TagOption,
    VerboseOption,
)

if TYPE_CHECKING:
    from macfleet.checks.base import Check, FleetCheck
    from macfleet.core.fact import Fact, Facts
    from macfleet.inventory.mac import Mac


def facts(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what the Macs say, as macfleet understands it. Changes nothing.

    Example: `macfleet facts --mac studio-1 --json`

    A fact nobody understood is `unknown` with the reason. Exits 3 when a Mac is unreachable.
    """
    from macfleet.checks import FLEET_CHECKS
    from macfleet.serving.checks import checks_of_this_controller

    def wanted(mac: Mac) -> list[Fact[Any]]:
        asked: tuple[Check | FleetCheck, ...] = (*checks_of_this_controller(), *FLEET_CHECKS)
        return [fact for check in asked for fact in check.facts(mac)]

    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    with session.fleet() as fleet:
        report = fleet.read(wanted)
    if json:
        macs = [
            {"mac": outcome.mac, "outcome": "ok", "facts": as_values(outcome.value)}
            if outcome.value is not None
            else {"mac": outcome.mac, "outcome": "unreachable", "error": str(outcome.error)}
            for outcome in report
        ]
        session.output.json({"schema": 1, "macs": macs, "summary": {"macs": len(macs), "unreachable": len(report.errors())}})
    else:
        for name, values in report.values().items():
            session.output.answer(as_text(name, as_values(values)))
        for error in report.errors().values():
            session.output.error(error)
    raise typer.Exit(0 if report.ok else 3)


def as_values(facts: Facts) -> dict[str, Any]:
    """Fact name → plain value; unknown ones as {"unknown": reason}."""
    return {fact.name: as_plain(value) for fact, value in sorted(facts.items(), key=lambda item: item[0].name)}


def as_text(mac: str, values: dict[str, Any]) -> str:
    """One Mac's facts as YAML, which is read more easily than JSON: one line for a small thing, text as it stands."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return yaml.dump({mac: values}, Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=160).rstrip("\n")


def as_plain(value: Any) -> Any:
    """Dataclasses, tuples and sets as what JSON knows."""
    from datetime import datetime
    from enum import Enum

    from macfleet.core.fact import Unknown
    from macfleet.macos.files import FileState

    match value:
        case Unknown(reason=reason):
            return {"unknown": reason}
        case Enum():
            return value.name.lower()
        case datetime():
            return value.isoformat()
        case FileState():
            return {**asdict(value), "mode": f"{value.mode:o}"}
        case dict():
            return {str(key): as_plain(item) for key, item in value.items()}
        case list() | tuple():
            return [as_plain(item) for item in value]
        case set() | frozenset():
            return sorted(as_plain(item) for item in value)
        case None | bool() | int() | float() | str():
            return value
    return as_plain(asdict(value)) if is_dataclass(value) and not isinstance(value, type) else str(value)
