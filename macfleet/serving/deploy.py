"""A planned gang made real: weights staged, jobs installed and started, ready proved by a canary. Or nothing left running."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from macfleet.core.data import data_path
from macfleet.core.errors import Interrupted, MacfleetError, ServiceFailed, Unreachable
from macfleet.core.fact import Facts
from macfleet.core.outcome import Report
from macfleet.core.units import format_size
from macfleet.core.words import count
from macfleet.engines.base import ApiKeys, Gang
from macfleet.engines.mlx import MlxEngine, link_ports
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Mac
from macfleet.macos import files
from macfleet.models.families import is_proven
from macfleet.serving import jobs
from macfleet.serving.canary import Passed, choose_canary, run_canary
from macfleet.serving.gang import GangPlan
from macfleet.serving.gateway import Health, open_gateway
from macfleet.serving.launch import describe, make_gang, proved, with_hashes
from macfleet.serving.model import HubModel, Model
from macfleet.serving.phases import Loading, Phases, loadings
from macfleet.serving.ports import Wanted, refuse_taken
from macfleet.serving.prove import prove_on
from macfleet.serving.ready import refuse_other_weights, wait_ready
from macfleet.serving.services import Deployed, render_deployed, service_file
from macfleet.serving.staging import Staged, fetch_on, prune_on, stage_on
from macfleet.serving.stop import stop_service

T = TypeVar("T")
Say = Callable[[str], None]

NO_KEYS = ApiKeys()
_AGAIN = "run the same command again; weights that are there and true are not sent twice"
_START_S = 180.0  # Python, mlx and the gang finding each other, on a busy Mac
_LOAD_BYTES_PER_S = 1e9  # a slow SSD, cold


@dataclass(frozen=True)
class Deployment:
    """A service that answers, and the proof. `phase_s`: what its `took_s` were spent on."""

    deployed: Deployed
    staged: tuple[Staged, ...]
    passed: Passed
    took_s: float
    phase_s: Mapping[str, float]
    workers: tuple[Loading, ...]


def deploy(
    fleet: Fleet,
    plan: GangPlan,
    facts: Mapping[str, Facts],
    model: Model,
    *,
    services: Mapping[str, Deployed],
    keys: ApiKeys = NO_KEYS,
    deadline_s: float | None = None,
    say: Say = lambda text: None,
) -> Deployment:
    """Carry out `plan`. The caller holds the fleet lock; `services` are those deployed now, by name.

    Weights are staged while an older deployment of the same service still answers; then it is stopped and the new one
    started. When that fails, the new jobs are booted out again: the error says what was left and what is gone. After Ctrl-C
    the same is done, and said by Interrupted.
    """
    phases = Phases(fleet.clock)
    gang = make_gang(fleet.inventory, plan, facts, model.name, keys)
    old = services.get(plan.service.name)
    deployed = describe(gang, plan, _later_than(old, fleet.clock.now()))
    try:
        _refuse_taken_ports(fleet, gang, old)
        phases.done("look")
        gang = _proved_family(fleet, gang, model, say)
        phases.done("prove")
        staged = _stage(fleet, gang, model, say)
        phases.done("stage")
        deployed = with_hashes(deployed, staged)
    except KeyboardInterrupt:
        raise _interrupted(deployed, [f"the deployment of {old.deployed_at} still answers"] if old else []) from None
    if old is not None:
        try:
            _replace(fleet, old, gang, say)
        except KeyboardInterrupt:
            raise _interrupted(deployed, [f"the deployment of {old.deployed_at} is ended, or half ended"]) from None
    phases.done("end the older")
    passed, health = _start_or_clear(fleet, gang, deployed, old, deadline_s or _start_deadline_s(gang), say, phases)
    _prune(fleet, gang, services)
    phases.done("tidy up")
    return Deployment(proved(deployed, passed), staged, passed, sum(phases.seconds.values()), phases.seconds, loadings(health))


def _later_than(old: Deployed | None, now: float) -> float:
    """Now, or later: of two records the newer one counts, and the last operator's clock may have been ahead of ours."""
    return now if old is None else max(now, datetime.fromisoformat(old.deployed_at).timestamp() + 1)


def _refuse_taken_ports(fleet: Fleet, gang: Gang, old: Deployed | None) -> None:
    service, head = gang.service, gang.head.mac.name
    wanted: dict[str, list[Wanted]] = {seat.mac.name: [] for seat in gang.seats}
    host = service.listen or "0.0.0.0"
    wanted[head].append(Wanted(host, service.port, f"the gateway of {service.name}"))
    wanted[head].append(Wanted(gang.control_address, service.control_port, f"the control of {service.name}"))
    for mac, (address, port) in link_ports(gang).items():
        wanted[mac].append(Wanted(address, port, f"the links of {service.name}"))
    addresses = {mac.name: mac.address for mac in fleet.inventory.macs}
    if old is not None and addresses.get(old.head) == addresses[head]:
        # They are held by the deployment that this one replaces. The same machine, not the same name: a rehearsal has one for all.
        own = {old.port, old.control_port, *range(old.control_port + 1, old.control_port + 1 + len(old.stages))}
        wanted = {mac: [one for one in ports if one.port not in own] for mac, ports in wanted.items()}
    macs = [seat.mac for seat in gang.seats if wanted[seat.mac.name]]
    _all(fleet.each(lambda mac, connection: refuse_taken(mac, connection, wanted[mac.name]), macs=macs, doing="looking at its ports"))


def _proved_family(fleet: Fleet, gang: Gang, model: Model, say: Say) -> Gang:
    """The gang as it may serve a family that no test has proved: then the head proves it, before a byte of the weights is sent."""
    if is_proven(model.card.family):
        return gang
    head = gang.head
    say(f'no test proves the family "{model.card.family}": {head.mac.name} tries whether a small model of it survives being split')
    with fleet.awaiting(head.mac.name, "proving the family"):
        kv = gang.placement.kv
        proof = prove_on(head.mac, fleet.connection(head.mac), model, head.python, kv.bits if kv else None)
    say(proof.sentence())
    return replace(gang, is_proved=True, batched=proof.is_batched)


def _stage(fleet: Fleet, gang: Gang, model: Model, say: Say) -> tuple[Staged, ...]:
    def stage(mac: Mac, connection: Connection) -> Staged:
        mine = gang.placement.stage_of(mac.name)
        layers = (mine.first_layer, mine.last_layer)
        if isinstance(model, HubModel):
            return fetch_on(mac, connection, model, layers, fleet.clock, say)
        staged = stage_on(mac, connection, model, layers, fleet.clock, say)
        say(f"{mac.name}: {staged.sentence()}")
        return staged

    macs = [seat.mac for seat in gang.seats]
    whole = format_size(sum(stage.weight_bytes for stage in gang.placement.stages))
    say(f"staging {whole} of {model.name} on {', '.join(mac.name for mac in macs)}")
    return tuple(_all(fleet.each(stage, macs=macs, doing=f"staging {model.name}")))


def _prune(fleet: Fleet, gang: Gang, services: Mapping[str, Deployed]) -> None:
    """Stages of an earlier placement go when the new one has proved itself and no other service on that Mac has this model."""
    others = {mac for service in services.values() if service.name != gang.service.name for mac in service.macs}
    macs = [seat.mac for seat in gang.seats if seat.mac.name not in others]

    def prune(mac: Mac, connection: Connection) -> None:
        mine = gang.placement.stage_of(mac.name)
        prune_on(mac, connection, gang.model_dir_name, (mine.first_layer, mine.last_layer))

    fleet.each(prune, macs=macs, doing="removing older stages")


def _replace(fleet: Fleet, old: Deployed, gang: Gang, say: Say) -> None:
    """End the older deployment, on Macs that are in the new gang and on those that are not.

    A Mac that is away and not in the new gang is why one deploys anew at night: it is told of, and left as it is.
    """
    say(f"the deployment of {old.name} from {old.deployed_at} is ended")
    not_needed = set(old.macs) - {seat.mac.name for seat in gang.seats}
    report = stop_service(fleet, old, say, may_be_away=not_needed)
    for mac, error in report.errors().items():
        if mac in not_needed and isinstance(error, Unreachable):
            say(f"warning: {mac} is away and keeps its part of the older deployment; `macfleet stop {old.name} --leftovers` ends it there")
            continue
        raise ServiceFailed(
            f"the older deployment of {old.name} could not be ended on {mac}: {error.what}",
            truths=(*error.truths, f"it was ended on {', '.join(report.values()) or 'no Mac'}; the new one was not started"),
            hint=error.hint or f"`macfleet stop {old.name}` tries again",
        )


def _start_or_clear(
    fleet: Fleet, gang: Gang, deployed: Deployed, old: Deployed | None, deadline_s: float, say: Say, phases: Phases
) -> tuple[Passed, Health]:
    """Ready and proved, or nothing of it left running: also after Ctrl-C."""
    try:
        return _start(fleet, gang, deployed, deadline_s, say, phases)
    except MacfleetError as error:
        truths = (*error.truths, *_clear(fleet, deployed, old, say))
        raise ServiceFailed(f"{deployed.name} was not deployed: {error}", truths=truths, hint=error.hint) from error
    except KeyboardInterrupt:
        truths = tuple(_clear(fleet, deployed, old, say))
        raise Interrupted(f"the deployment of {deployed.name} was interrupted", truths=truths, hint=_AGAIN) from None
    except BaseException:
        with suppress(MacfleetError):
            stop_service(fleet, deployed, say)
        raise


def _start(fleet: Fleet, gang: Gang, deployed: Deployed, deadline_s: float, say: Say, phases: Phases) -> tuple[Passed, Health]:
    every = MlxEngine(_templates()).jobs(gang)
    head = gang.head.mac
    _keep(fleet, gang, deployed)  # first: a service that is half started is one that `stop` and `status` know
    macs = [seat.mac for seat in gang.seats]
    say(f"starting {count(len(every) - 1, 'worker')} and the gateway; links: {deployed.kind}")

    def start(mac: Mac, connection: Connection) -> None:
        own = [job for job in every if job.mac == mac.name]
        for job in own:
            jobs.install(mac, connection, job)
        for job in own:
            jobs.start(mac, connection, job, fleet.clock)

    _all(fleet.each(start, macs=macs, doing="starting its jobs"))
    with fleet.awaiting(deployed.name, "coming up"):
        health = wait_ready(fleet, deployed, every, deadline_s, say, phases)
        refuse_other_weights(deployed, health)
    canary = choose_canary(sum(stage.weight_bytes for stage in deployed.stages), deployed.context_tokens)
    say(f"{deployed.name}: ready; asking the canary ({canary.kind})")
    with open_gateway(head, fleet.connection(head), deployed) as gateway, fleet.awaiting(deployed.name, "answering the canary"):
        passed = run_canary(gateway, canary)
    _keep(fleet, gang, proved(deployed, passed))
    phases.done("canary")
    return passed, health


def _keep(fleet: Fleet, gang: Gang, deployed: Deployed) -> None:
    """On every Mac of the gang: each of them may be the one that is asked, or the one that is away."""
    text = render_deployed(deployed).encode()

    def keep(mac: Mac, connection: Connection) -> None:
        seat = next(seat for seat in gang.seats if seat.mac.name == mac.name)
        owner, directory = f"{seat.user}:{seat.group}", mac.paths.service(deployed.name)
        state = files.make_directory(f"{directory}/state", 0o700, owner, sudo=True) if mac.name == deployed.head else ()
        record = files.write_file(service_file(mac.paths, deployed.name), text, 0o644, owner, sudo=True)
        jobs.must(mac, connection, [*files.make_directory(directory, 0o755, owner, sudo=True), *state, *record])

    _all(fleet.each(keep, macs=[seat.mac for seat in gang.seats], doing="noting the service"))


def _clear(fleet: Fleet, deployed: Deployed, old: Deployed | None, say: Say) -> list[str]:
    """Nothing of it is left running; what was done and what is true now, one sentence each."""
    truths = []
    try:
        report = stop_service(fleet, deployed, say)
        cleared, stuck = list(report.values()), report.errors()
        if cleared:
            truths.append(f"its jobs were booted out and its secrets removed on {', '.join(cleared)}; logs and staged weights stay")
        truths += [f"{mac} could not be cleared: {problem.what}" for mac, problem in stuck.items()]
    except MacfleetError as problem:
        truths.append(f"it could not be cleared: {problem}; `macfleet stop {deployed.name}` tries again")
    except KeyboardInterrupt:  # not waited for: `stop` knows the service as well
        truths.append(
            f"its jobs may run on {', '.join(deployed.macs)}: clearing them was interrupted; `macfleet stop {deployed.name}` ends them"
        )
    if old is not None:
        truths.append(f"the deployment of {old.deployed_at} was ended before and does not run any more")
    return truths


def _interrupted(deployed: Deployed, truths: Sequence[str]) -> Interrupted:
    """Before any of its jobs was started."""
    truths = (f"no job of the new deployment was started on {', '.join(deployed.macs)}", *truths)
    return Interrupted(f"the deployment of {deployed.name} was interrupted", truths=truths, hint=_AGAIN)


def _all(report: Report[T]) -> Sequence[T]:
    """Every Mac's value; the first Mac's error, with the others' as truths, when there is one."""
    errors = report.errors()
    if not errors:
        return list(report.values().values())
    (mac, first), *others = errors.items()
    first.mac = first.mac or mac
    if others:
        first.truths = (*first.truths, *(f"{name}: {error.what}" for name, error in others))
    raise first


def _start_deadline_s(gang: Gang) -> float:
    return _START_S + max(stage.weight_bytes for stage in gang.placement.stages) / _LOAD_BYTES_PER_S


def _templates() -> dict[str, str]:
    return {path.name: path.read_text() for path in data_path("templates").glob("*.j2")}
