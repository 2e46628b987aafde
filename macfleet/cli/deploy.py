"""`macfleet deploy`: a model on a gang of Macs, placed, staged, started and proved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from macfleet.cli.output import column_width
from macfleet.cli.session import (
    DryRunOption,
    GroupOption,
    InventoryOption,
    JsonOption,
    MacOption,
    Options,
    QuietOption,
    Session,
    TagOption,
    VerboseOption,
    YesOption,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from macfleet.cli.output import Output
    from macfleet.engines.base import ApiKeys
    from macfleet.inventory.mac import Inventory, Mac, Service
    from macfleet.models.card import ModelCard
    from macfleet.serving.deploy import Deployment
    from macfleet.serving.gang import GangPlan
    from macfleet.serving.services import Deployed

ModelOption = Annotated[str, typer.Option("--model", help="A name of the inventory's models, of `lab model`, or of the built-in cards")]
MacsOption = Annotated[str | None, typer.Option("--macs", help="The gang, the head first: `studio-1,studio-2`", show_default=False)]
NameOption = Annotated[
    str | None, typer.Option("--name", help="The service's name; the inventory's, or the model's, without it", show_default=False)
]
PortOption = Annotated[
    int | None,
    typer.Option("--port", min=1, max=65534, help="Where the gateway listens; the next one is for its workers", show_default=False),
]
DeadlineOption = Annotated[
    str | None, typer.Option("--deadline", help="How long the gang may take to be ready, like `10 min`", show_default=False)
]
UnprovenOption = Annotated[
    bool, typer.Option("--unproven", help="Also a family that no test proves: the head proves it first, with a small random model")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="With --dry-run: ask no Mac, plan from the inventory alone")]


def deploy(
    model: ModelOption,
    macs: MacsOption = None,
    name: NameOption = None,
    port: PortOption = None,
    deadline: DeadlineOption = None,
    unproven: UnprovenOption = False,
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    dry_run: DryRunOption = False,
    offline: OfflineOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Serve a model: place its layers on Macs, stage the weights, start workers and gateway, prove it with a canary.

    Refuses, Mac by Mac with numbers, what does not fit. Deploying a service again replaces it.

    Example: `macfleet deploy --model deepseek-v3 --macs studio-1,studio-2,studio-3,studio-4 --dry-run`

    Exits 0 when the service answers (or would fit), 1 when the model does not fit, its family is not proved or a check stands in
    the way, 3 when a Mac could not be read or the service did not come up: then nothing of it is left running.
    """
    from macfleet.core.errors import RequestError
    from macfleet.models.store import model_store
    from macfleet.serving.choose import choose_service
    from macfleet.serving.gang import plan_gang, read_gang
    from macfleet.serving.keys import read_keys
    from macfleet.serving.model import find_model
    from macfleet.serving.services import read_services

    if offline and not dry_run:
        raise RequestError("--offline plans without asking a Mac, so it goes with --dry-run only")
    session = Session(Options(inventory, json=json, verbose=verbose, quiet=quiet))
    fleet_inventory = session.inventory
    deadline_s = _seconds(deadline)
    chosen = _chosen(fleet_inventory, macs, mac, group, tag)
    found = find_model(model, fleet_inventory, model_store(os.environ), unproven=unproven)
    service = choose_service(fleet_inventory, model, name, chosen, port=port, most_context_tokens=found.card.context_tokens)
    if dry_run:
        plan = _plan(session, service, found.card, offline=offline)
        _answer_plan(session.output, plan)
        raise typer.Exit(_exit_code(plan))
    keys = read_keys(service, fleet_inventory.path.parent)  # a missing key is said before anything is read
    with session.fleet() as fleet:
        report = read_gang(fleet, [fleet_inventory.mac(member) for member in service.macs])
        services, asked = read_services(fleet)
        plan = plan_gang(fleet_inventory, service, found.card, report, services=services.values())
        plan.refuse_unfit()
        _show_plan(session.output.talk, plan)
        if (old := services.get(service.name)) is not None:
            session.output.talk(f"it replaces the deployment from {old.deployed_at} on {', '.join(old.macs)}")
        if not session.consent(f"Deploy {service.name} on {', '.join(service.macs)}?", yes=yes):
            raise typer.Exit(1)
        for member in service.macs:
            if (error := asked.errors().get(member)) is not None:
                raise error  # what runs there now is not known, so nothing may be put over it
        deployment = _deploy(session, fleet, plan, report.values(), found, services, keys, deadline_s)
    _answer(session.output, deployment, fleet_inventory.mac(deployment.deployed.head))


def _plan(session: Session, service: Service, card: ModelCard, *, offline: bool) -> GangPlan:
    """The plan of a dry run: Macs that cannot be read are taken at the inventory's word, and all of them when nobody can be asked."""
    from dataclasses import replace

    from macfleet.core.errors import RequestError
    from macfleet.serving.gang import plan_gang, plan_offline, read_gang
    from macfleet.serving.services import read_services

    inventory = session.inventory
    if offline:
        return plan_offline(inventory, service, card)
    try:
        with session.fleet() as fleet:
            report = read_gang(fleet, [inventory.mac(member) for member in service.macs])
            services, _ = read_services(fleet)
    except RequestError as error:  # no SSH key, a broken configuration: no Mac's fault
        session.output.warn(f"no Mac was asked: {error.what}")
        return replace(plan_offline(inventory, service, card), assumed=service.macs)
    return plan_gang(inventory, service, card, report, services=services.values(), assume=True)


def _deploy(
    session: Session, fleet: Any, plan: GangPlan, facts: Any, model: Any, services: dict[str, Deployed], keys: ApiKeys,
    deadline_s: float | None,
) -> Deployment:  # fmt: skip
    from macfleet.fleet.lock import fleet_lock
    from macfleet.serving.deploy import deploy as run

    inventory, service = session.inventory, plan.service
    concerned = {*service.macs, *(services[service.name].macs if service.name in services else ())}
    macs = [mac for mac in inventory.macs if mac.name in concerned]
    with fleet_lock(fleet, f"deploy {service.name}", macs):
        session.journal.write("deploy", service=service.name, model=service.model, macs=list(service.macs))
        try:
            deployment = run(
                fleet, plan, facts, model, services=services, keys=keys, deadline_s=deadline_s, say=session.output.talk
            )  # fmt: skip
        except BaseException as error:
            session.journal.write("deploy-failed", service=service.name, error=str(error) or type(error).__name__)
            raise
        session.journal.write(
            "deployed",
            service=service.name,
            canary=deployment.passed.sentence,
            took_s=round(deployment.took_s, 1),
            phase_s={phase: round(taken_s, 1) for phase, taken_s in deployment.phase_s.items()},
        )
    return deployment


def _chosen(
    inventory: Inventory, words: str | None, macs: Sequence[str] | None, groups: Sequence[str] | None, tags: Sequence[str] | None
) -> list[Mac]:
    """The Macs that were asked for, in the order they were named; empty when none was."""
    from fnmatch import fnmatchcase

    from macfleet.core.errors import RequestError
    from macfleet.inventory.select import select

    gang = [word.strip() for word in (words or "").split(",") if word.strip()]
    if words is not None and not gang:  # a script's empty variable must not mean all Macs
        raise RequestError(f'--macs "{words}" names no Mac', hint="leave it out for those of the inventory's service, or for all")
    named = [*gang, *(macs or ())]
    if not (named or groups or tags):
        return []
    found = list(select(inventory, macs=named, groups=groups or (), tags=tags or ()))
    place = {mac.name: next((index for index, word in enumerate(named) if fnmatchcase(mac.name, word)), 0) for mac in found}
    return sorted(found, key=lambda mac: place[mac.name])


def _seconds(text: str | None) -> float | None:
    from macfleet.core.errors import RequestError
    from macfleet.core.units import parse_duration

    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        raise RequestError(f"--deadline: {error}") from error


def _exit_code(plan: GangPlan) -> int:
    """Of a dry run: 3 when a Mac could not be read, 1 when a check stands in the way."""
    if plan.assumed:
        return 3
    return 1 if plan.failures() else 0


def _answer_plan(output: Output, plan: GangPlan) -> None:
    from macfleet.models.families import is_proven

    if output.json_wanted:
        output.json(plan.as_json())
        return
    _show_plan(output.answer, plan)
    for where, finding in plan.failures():
        output.answer(where)
        output.finding(finding)
    for mac in plan.assumed:
        output.warn(f"{mac} could not be read: planned with what the inventory says of it")
    if not plan.failures() and not plan.assumed and not plan.is_offline:
        unproven = "" if is_proven(plan.card.family) else " --unproven"
        macs = ",".join(plan.service.macs)
        output.next_step(f"macfleet deploy --model {plan.service.model} --name {plan.service.name} --macs {macs}{unproven}")


def _show_plan(say: Any, plan: GangPlan) -> None:
    from macfleet.core.units import format_size
    from macfleet.core.words import count

    placement, links = plan.placement, plan.links
    said = f"links {links.kind}: {links.why}" if links else "links: not known until the Macs are read"
    say(f"{plan.service.name}: {plan.card.name}, {placement.layers} layers on {count(len(placement.stages), 'Mac')}; {said}")
    width = column_width([stage.mac for stage in placement.stages])
    for stage in placement.stages:
        parts = f"{format_size(stage.weight_bytes)} weights + {format_size(stage.kv_bytes)} cache + {format_size(stage.overhead_bytes)}"
        layers = f"layers {stage.first_layer}-{stage.last_layer - 1} ({stage.layers})"
        say(
            f"{stage.mac:<{width}}  rank {stage.rank}  {layers:<19} {parts} = "
            f"{format_size(stage.need_bytes)}, {stage.fill:.0%} of {format_size(stage.limit_bytes)}"
            + (f" with {format_size(stage.taken_bytes)} of other services" if stage.taken_bytes else "")
            + (f"; step {stage.step_s * 1e3:.2f} ms" if stage.step_s else "")
        )
    requests = f"{placement.concurrency} requests of {placement.context_tokens} tokens"
    exact = "" if plan.card.is_exact else "; sizes from the built-in card, good to a few per cent"
    in_bits = f", their KV caches in {placement.kv.bits} bits" if placement.kv else ""
    say(f"{requests}{in_bits}{exact}")
    if sentence := placement.step_sentence():
        say(sentence)
    for warning in plan.warnings():
        say(f"warning: {warning}")


def _answer(output: Output, deployment: Deployment, head: Mac) -> None:
    from macfleet.core.units import format_duration
    from macfleet.serving.endpoint import curl_line, endpoint, tunnel_line
    from macfleet.serving.phases import in_words

    deployed = deployment.deployed
    if output.json_wanted:
        output.json(
            {
                "schema": 1,
                "service": deployed.name,
                "model": deployed.model,
                "endpoint": endpoint(deployed, head),
                "links": deployed.kind,
                "canary": {"kind": deployment.passed.kind, "said": deployment.passed.sentence},
                "macs": [
                    {"mac": stage.mac, "rank": stage.rank, "layers": [stage.first_layer, stage.last_layer]} for stage in deployed.stages
                ],
                "staged": [{"mac": one.mac, "sent_bytes": one.sent_bytes, "kept_bytes": one.kept_bytes} for one in deployment.staged],
                "took_s": round(deployment.took_s, 1),
                "phase_s": {phase: round(taken_s, 3) for phase, taken_s in deployment.phase_s.items()},
                "workers": [{"mac": worker.mac, "phase_s": dict(worker.phase_s)} for worker in deployment.workers],
            }
        )
        return
    output.answer(f"{deployed.name} is ready on {', '.join(deployed.macs)} in {format_duration(deployment.took_s)}")
    output.answer(f"time: {in_words(deployment.phase_s, deployment.workers)}")
    output.answer(f"canary: {deployment.passed.sentence}")
    if (tunnel := tunnel_line(deployed, head)) is not None:
        output.answer(f"it listens on {head.name}'s loopback; to reach it from here, leave this running:")
        output.answer(f"  {tunnel}")
    output.answer(f"endpoint: {endpoint(deployed, head)}")
    output.answer(f"  {curl_line(deployed, head)}")
    output.next_step(f'macfleet chat {deployed.name} "What is the capital of France?"')
