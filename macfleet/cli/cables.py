"""`macfleet cables`: who is plugged into whom, and which cables to plug for a mesh or a ring."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from macfleet.core.errors import MacfleetError, RequestError
from macfleet.core.words import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from macfleet.cli.output import Output
    from macfleet.core.fact import Facts
    from macfleet.core.outcome import Report
    from macfleet.placement.cable_map import CableMap
    from macfleet.placement.cabling_plan import CablingPlan, NoCabling


class Shape(StrEnum):
    MESH = "mesh"
    RING = "ring"


def cables(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Draw into this SVG file, with --plan the plan; `-` is stdout", show_default=False)
    ] = None,
    plan: Annotated[Shape | None, typer.Option("--plan", help="Say which cables to plug for this", show_default=False)] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="With --plan: ask no Mac, believe the inventory's cables, take other ports for free")
    ] = False,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw who is plugged into whom, port by port, or plan the cables of a mesh or ring. Changes nothing.

    Example: `macfleet cables --plan mesh`

    Exits 1 when the planned cabling is impossible, and says why and what instead; 3 when a Mac is unreachable.
    """
    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    if offline and plan is None:
        raise RequestError("without asking the Macs nothing can be drawn", hint="--offline goes with --plan")
    report = None if offline else _read(session)
    if plan is not None:
        raise typer.Exit(_plan(session, report, plan, svg))
    assert report is not None
    raise typer.Exit(_draw(session, report, svg))


def _read(session: Session) -> Report[Facts]:
    from macfleet.macos.cable_rdma import FACTS

    with session.fleet() as fleet:
        return fleet.read(lambda mac: FACTS)


def _draw(session: Session, report: Report[Facts], svg: Path | None) -> int:
    from macfleet.cli.cables_drawing import draw
    from macfleet.core.fact import Unknown
    from macfleet.placement.cable_map import make_map

    silent: dict[str, Facts | Unknown] = {name: Unknown(str(error)) for name, error in report.errors().items()}
    cable_map = make_map(session.macs, {**silent, **report.values()}, session.inventory.order)
    if svg is not None:
        _write_svg(session, cable_map, svg, sentence(cable_map))
    elif session.options.json:
        session.output.json(cable_map.as_json())
    else:
        for line in draw(cable_map, shutil.get_terminal_size((100, 24)).columns):
            session.output.answer(line)
        for trouble in troubles(cable_map):
            session.output.answer(trouble)
        session.output.answer(sentence(cable_map))
    for error in report.errors().values():
        session.output.error(error)
    return 0 if report.ok else 3


def troubles(cable_map: CableMap) -> list[str]:
    """A line for each cable that carries no RDMA, with why, and for each that is missing."""
    from macfleet.placement.cable_map import CableState

    broken = [f"{cable}: {cable.state.value}, {cable.why}" for cable in cable_map.of(CableState.NO_RDMA, CableState.UNKNOWN)]
    return [*broken, *(f"{cable}: {cable.why}" for cable in cable_map.of(CableState.MISSING))]


def sentence(cable_map: CableMap) -> str:
    """`6 cables, 5 carry RDMA, 1 is missing`."""
    from macfleet.placement.cable_map import CableState

    missing, rdma = len(cable_map.of(CableState.MISSING)), len(cable_map.of(CableState.RDMA))
    there = len(cable_map.cables) - missing
    carry = f"{rdma} {'carries' if rdma == 1 else 'carry'} RDMA" if there else ""
    gone = f"{missing} {'is' if missing == 1 else 'are'} missing" if missing else ""
    unread = [mac.name for mac in cable_map.macs if mac.unread]
    silent = f"nobody could see the ports of {', '.join(unread)}" if unread else ""
    return ", ".join(filter(None, (count(there, "cable"), carry, gone, silent)))


def _write_svg(session: Session, cable_map: CableMap, path: Path, told: str) -> None:
    from macfleet.cli.cables_svg import render_svg

    text = render_svg(cable_map, f"{session.inventory.name}: {told}")
    if str(path) == "-":
        session.output.fragment(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MacfleetError(f"{path} cannot be written: {error.strerror}") from error
    session.output.answer(f"drawn into {path}: {told}")


def _plan(session: Session, report: Report[Facts] | None, wanted: Shape, svg: Path | None) -> int:
    from macfleet.placement.cabling_plan import CablingPlan, offline_boards, plan_cabling, read_boards, recorded_links

    shape: Literal["mesh", "ring"] = "mesh" if wanted is Shape.MESH else "ring"
    macs = [(mac.name, mac.hardware) for mac in session.macs]
    if report is None:
        boards, there = offline_boards(macs), recorded_links(session.inventory.cables or (), [name for name, _ in macs])
    elif report.ok:
        boards, there = read_boards(macs, report.values(), session.inventory.order)
    else:
        for error in report.errors().values():
            session.output.error(error)
        session.output.talk("which ports are free nobody knows there; `--offline` plans by the inventory alone")
        return 3
    planned = plan_cabling(boards, shape, there)
    if session.options.json:
        session.output.json(planned.as_json())
    elif not isinstance(planned, CablingPlan):
        _show_refusal(session.output, planned)
    elif svg is not None:
        from macfleet.placement.cable_map import plan_map

        _write_svg(session, plan_map(planned, boards), svg, _in_short(planned))
    else:
        _show_plan(session.output, planned)
    return 0 if isinstance(planned, CablingPlan) else 1


def _in_short(plan: CablingPlan) -> str:
    new = len(plan.plug) + len(plan.replace)
    todo = f"{count(new, 'cable')} to plug" if new else "all are there"
    todo += f", {count(len(plan.unplug), 'cable')} to unplug first" if plan.unplug else ""
    return f"a {plan.shape} of {count(len(plan.macs), 'Mac')} has {count(len(plan.cables), 'cable')}; {todo}"


def _show_plan(output: Output, plan: CablingPlan) -> None:
    output.answer(_in_short(plan))
    for verb, links in (("keep", plan.keep), ("unplug", plan.unplug), ("replace", plan.replace), ("plug", plan.plug)):
        for link in links:
            why = f", which runs at {link.speed_gb_s} Gb/s" if verb == "replace" else ""
            output.answer(f"  {verb:<8} {link}{why}")
    for note in plan.notes:
        output.warn(note)
    if plan.plug or plan.replace:
        output.talk("each a Thunderbolt 5 cable: what it trains at counts, not its label")
    if not plan.is_done:
        output.next_step("macfleet cables")


def _show_refusal(output: Output, refused: NoCabling) -> None:
    output.answer(f"a {refused.shape} of {count(len(refused.macs), 'Mac')} cannot be cabled")
    _list(output, refused.reasons)
    output.answer("instead:")
    _list(output, refused.instead)


def _list(output: Output, lines: Sequence[str]) -> None:
    for line in lines:
        output.answer(f"  {line}")
