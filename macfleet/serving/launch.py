"""From a plan to what is launched: keys, accounts, interpreters, and what the head keeps about it all."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import zmq

from macfleet.core.errors import ServiceFailed
from macfleet.core.fact import Facts, Unknown
from macfleet.core.secret import Secret
from macfleet.engines.base import ApiKeys, Gang, KeyPair, Seat
from macfleet.inventory.mac import Inventory, Mac
from macfleet.macos.runtime import Runtime, runtime
from macfleet.serving.account import ACCOUNT
from macfleet.serving.canary import Passed
from macfleet.serving.gang import GangPlan, lan_address
from macfleet.serving.services import Deployed, DeployedStage
from macfleet.serving.staging import Staged


def make_gang(inventory: Inventory, plan: GangPlan, facts: Mapping[str, Facts], model_dir_name: str, keys: ApiKeys) -> Gang:
    """The plan with new keys and the accounts that were read."""
    if plan.links is None:
        raise ServiceFailed(f"{plan.service.name} was not deployed: {', '.join(plan.assumed)} could not be read")
    seats = tuple(_seat(inventory.mac(name), facts[name]) for name in plan.links.macs)
    head = seats[0].mac
    return Gang(
        service=plan.service,
        placement=plan.placement,
        links=plan.links,
        seats=seats,
        gateway_keys=_new_keys(),
        control_address=lan_address(head, facts[head.name]),
        model_dir_name=model_dir_name,
        api_keys=keys,
        drain_s=head.settings.reboot.drain,
    )


def describe(gang: Gang, plan: GangPlan, now: float) -> Deployed:
    """What the head keeps about the service; `canary` is empty until one has passed."""
    service = gang.service
    stages = tuple(
        DeployedStage(stage.mac, stage.rank, stage.first_layer, stage.last_layer, stage.weight_bytes, stage.need_bytes)
        for stage in plan.placement.stages
    )
    return Deployed(
        name=service.name,
        model=service.model,
        stages=stages,
        kind=gang.links.kind,
        listen=service.listen,
        port=service.port,
        control_port=service.control_port,
        context_tokens=service.context_tokens,
        concurrency=service.concurrency,
        needs_key=gang.api_keys.own is not None,
        deployed_at=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        deployed_by=f"{getpass.getuser()} on {platform.node()}",
    )


def proved(deployed: Deployed, passed: Passed) -> Deployed:
    """With what was proved, so that the same can be asked again after a reboot."""
    canary, is_again = passed.canary, passed.canary.kind == "same-twice"
    return replace(
        deployed,
        canary=passed.sentence,
        canary_prompt=canary.prompt if is_again else "",
        canary_max_tokens=canary.max_tokens,
        canary_answer=passed.answer,
    )


def with_hashes(deployed: Deployed, staged: Sequence[Staged]) -> Deployed:
    hashes = {one.mac: one.weights_sha256 for one in staged}
    return replace(deployed, stages=tuple(replace(stage, weights_sha256=hashes[stage.mac]) for stage in deployed.stages))


def _seat(mac: Mac, facts: Facts) -> Seat:
    account, installed = facts[ACCOUNT], facts[runtime(mac.paths)]
    if isinstance(account, Unknown):
        raise ServiceFailed(f"nobody knows under which account jobs run on {mac.name}: {account.reason}", mac=mac.name)
    if not isinstance(installed, Runtime):
        why = "none is installed" if installed is None else installed.reason
        raise ServiceFailed(
            f"there is no runtime on {mac.name} to start jobs from: {why}", mac=mac.name, hint="`macfleet provision` installs it"
        )
    return Seat(mac, account.user, account.group, account.home, account.path, mac.paths.python_of(installed.id), _new_keys())


def _new_keys() -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), Secret(secret.decode()))
