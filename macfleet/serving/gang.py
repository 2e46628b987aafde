"""Reading the Macs of a gang, and deciding: which links, which layers, and whether the Macs are fit to serve."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from macfleet.checks import FLEET_CHECKS
from macfleet.core.change import Unsupported
from macfleet.core.errors import MacfleetError, ServiceFailed
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding, Verdict
from macfleet.core.outcome import Report
from macfleet.core.units import GIB, MIB
from macfleet.core.words import count
from macfleet.fleet.fleet import Fleet
from macfleet.inventory import hardware
from macfleet.inventory.mac import Inventory, Mac, Service
from macfleet.macos import ibv, ifconfig, networksetup, sysctl, system_profiler
from macfleet.macos.cabling import find_links
from macfleet.macos.runtime import runtime
from macfleet.models.card import ModelCard
from macfleet.models.families import is_proven
from macfleet.placement.links import Links, Wires, choose_links
from macfleet.placement.memory import MacMemory
from macfleet.placement.place import Placement, Stage, place
from macfleet.serving.account import ACCOUNT
from macfleet.serving.checks import checks_of_this_controller
from macfleet.serving.endpoint import is_loopback
from macfleet.serving.services import Deployed, taken_by_others

# What must be right before a service starts; the rest of `verify` is about the Mac's long life.
_ALWAYS = ("sudo", "macos-version", "wired-limit", "disk-space", "runtime", "same-runtime")
_OVER_CABLES = ("thunderbolt-bridge", "cable-addresses")
_OVER_RDMA = ("rdma", "cable-rdma", "same-build", "cabling")  # RDMA wants equal builds on both ends


class Unfit(ServiceFailed):
    """A check of the gang's Macs fails: nothing was changed."""

    exit_code = 1


@dataclass(frozen=True)
class GangPlan:
    """The decision. `links` None: the Macs could not be read, so nobody knows the cables. `assumed`: Macs taken at the inventory's word."""

    service: Service
    card: ModelCard
    links: Links | None
    placement: Placement
    findings: Mapping[str, tuple[Finding, ...]]
    fleet_findings: tuple[Finding, ...]
    assumed: tuple[str, ...] = ()
    is_offline: bool = False

    def failures(self) -> tuple[tuple[str, Finding], ...]:
        """(Mac or "fleet", finding) of every check that stands in the way."""
        own = [(mac, finding) for mac, findings in self.findings.items() for finding in findings]
        every = own + [("fleet", finding) for finding in self.fleet_findings]
        return tuple((where, finding) for where, finding in every if finding.verdict is Verdict.FAIL)

    def warnings(self) -> tuple[str, ...]:
        """What is allowed and should be known."""
        said, open_to = list(self.placement.warnings()), self.service.listen
        if not is_proven(self.card.family):
            head = self.placement.stages[0].mac
            said.append(f'no test proves that models of the family "{self.card.family}" survive a split: {head} tries it first')
        if not is_loopback(open_to) and not self.service.wants_key:
            said.append(
                f"{self.service.name} listens on {open_to or 'every address'} without an api_key: whoever reaches the port may use it"
            )
        return tuple(said)

    def as_json(self) -> dict[str, Any]:
        placement = self.placement
        return {
            "schema": 1,
            "service": self.service.name,
            "model": self.card.name,
            "layers": placement.layers,
            "context_tokens": placement.context_tokens,
            "concurrency": placement.concurrency,
            "kv_bits": placement.kv.bits if placement.kv else None,
            "links": self.links.kind if self.links else None,
            "why": self.links.why if self.links else None,
            "sizes_are_exact": self.card.is_exact,
            "macs": [_stage_json(stage) for stage in placement.stages],
            "warnings": list(self.warnings()),
            "failures": [{"where": where, **finding.as_json()} for where, finding in self.failures()],
            "not_read": list(self.assumed),
        }

    def refuse_unfit(self) -> None:
        """Raises Unfit with every failing check."""
        failures = self.failures()
        if not failures:
            return
        failing = count(len(failures), "failing check", "failing checks")
        can_provision = any("macfleet provision" in finding.hint for _, finding in failures)
        raise Unfit(
            f"{self.service.name} was not deployed: {failing} of its Macs",
            truths=(
                *(f"{where}: {finding.check}: {finding.have}, wanted {finding.want}" for where, finding in failures),
                "nothing was changed",
            ),
            hint="`macfleet provision` closes what it can; then deploy again" if can_provision else failures[0][1].hint or None,
        )


def read_gang(fleet: Fleet, macs: Sequence[Mac]) -> Report[Facts]:
    """Everything that deciding needs, in one trip to each Mac."""
    return fleet.read(_wanted, macs=macs)


def plan_gang(
    inventory: Inventory,
    service: Service,
    card: ModelCard,
    report: Report[Facts],
    *,
    services: Iterable[Deployed] = (),
    assume: bool = False,
) -> GangPlan:
    """Links, layers and findings. Raises PlacementRefused when the model does not fit or the cables are not there.

    `services` are those deployed now: what they need is not there to be placed. `assume`: a Mac that could not be read is
    planned with what the inventory says of it; without it that is an error.
    """
    silent = report.errors()
    if silent and not assume:
        raise _unreadable(service, silent)
    macs, facts = [inventory.mac(name) for name in service.macs], report.values()
    wanted = macs[0].settings.interconnect
    links = None
    if not silent:
        links = choose_links(service.macs, wanted, _wires(inventory, macs, facts))
    order = [inventory.mac(name) for name in (links.macs if links else service.macs)]
    running = tuple(services)
    memories = [replace(_memory(mac, facts.get(mac.name)), taken_bytes=taken_by_others(mac.name, service.name, running)) for mac in order]
    placement = _place(card, memories, service)
    names = _checks_for(links, wanted.over)
    found = {mac.name: _findings(mac, facts[mac.name], names) for mac in order if mac.name in facts}
    chosen = replace(inventory, macs=tuple(macs))
    about_all = tuple(finding for check in FLEET_CHECKS if check.name in names for finding in check.judge(chosen, facts)) if facts else ()
    return GangPlan(service, card, links, placement, found, about_all, tuple(silent))


def plan_offline(inventory: Inventory, service: Service, card: ModelCard) -> GangPlan:
    """The placement at the inventory's word: nothing was asked, so links and checks are not known."""
    memories = [_memory(inventory.mac(name), None) for name in service.macs]
    placement = _place(card, memories, service)
    return GangPlan(service, card, None, placement, {}, (), is_offline=True)


def _place(card: ModelCard, memories: Sequence[MacMemory], service: Service) -> Placement:
    return place(card, memories, context_tokens=service.context_tokens, concurrency=service.concurrency, kv_bits=service.kv_bits)


def lan_address(mac: Mac, facts: Facts) -> str:
    """The IPv4 address at which the other Macs reach this one: the inventory's, when it is an address of the Mac itself.

    Raises MacfleetError where that is not so (a jump host, a forwarded port): a worker cannot listen there.
    """
    address = _as_number(mac)
    interfaces = facts[ifconfig.INTERFACES]
    if isinstance(interfaces, Unknown) or ipaddress.ip_address(address).is_loopback:
        return address
    own = {str(interface.ip) for each in interfaces for interface in each.ipv4}
    if address in own:
        return address
    raise MacfleetError(
        f"{mac.name} has no interface with the address {address}, so no worker can listen there",
        mac=mac.name,
        truths=(f"its own addresses are {', '.join(sorted(own)) or 'none'}",),
        hint=f"write one that the other Macs reach as `macs/{mac.name}/address` in the inventory",
    )


def _stage_json(stage: Stage) -> dict[str, Any]:
    return {
        "mac": stage.mac,
        "rank": stage.rank,
        "first_layer": stage.first_layer,
        "last_layer": stage.last_layer,
        "weight_bytes": stage.weight_bytes,
        "kv_bytes": stage.kv_bytes,
        "overhead_bytes": stage.overhead_bytes,
        "need_bytes": stage.need_bytes,
        "limit_bytes": stage.limit_bytes,
        "fill": round(stage.fill, 4),
        "step_bytes": stage.step_bytes,
        "step_ms": round(stage.step_s * 1e3, 3) if stage.step_s else None,
    }


def _wanted(mac: Mac) -> Sequence[Fact[Any]]:
    checks = _facts_of(_ALWAYS, mac)
    own: list[Fact[Any]] = [sysctl.IDENTITY, sysctl.WIRED_LIMIT, ifconfig.INTERFACES, ACCOUNT, runtime(mac.paths)]
    if mac.settings.interconnect.over == "lan" and mac.settings.interconnect.kind in ("auto", "tcp", "ring"):
        return [*own, *checks]
    cabled = _facts_of((*_OVER_CABLES, *_OVER_RDMA), mac)
    return [*own, system_profiler.THUNDERBOLT, networksetup.HARDWARE_PORTS, ibv.PORTS, *checks, *cabled]


def _facts_of(names: Sequence[str], mac: Mac) -> list[Fact[Any]]:
    about_one = [fact for check in checks_of_this_controller() if check.name in names for fact in check.facts(mac)]
    return about_one + [fact for check in FLEET_CHECKS if check.name in names for fact in check.facts(mac)]


def _checks_for(links: Links | None, over: str) -> frozenset[str]:
    names = set(_ALWAYS)
    if links is not None and len(links.macs) > 1:
        names |= set(_OVER_CABLES) if over == "thunderbolt" or links.devices else set()
        names |= set(_OVER_RDMA) if links.devices else set()
    return frozenset(names)


def _findings(mac: Mac, facts: Facts, names: frozenset[str]) -> tuple[Finding, ...]:
    return tuple(finding for check in checks_of_this_controller() if check.name in names for finding in check.judge(mac, facts))


def _wires(inventory: Inventory, macs: Sequence[Mac], facts: Mapping[str, Facts]) -> Wires:
    ports = {mac.name: _known(facts[mac.name], system_profiler.THUNDERBOLT, ()) for mac in macs}
    hardware_ports = {mac.name: _known(facts[mac.name], networksetup.HARDWARE_PORTS, ()) for mac in macs}
    rdma = {mac.name: _known(facts[mac.name], ibv.PORTS, ()) for mac in macs}
    return Wires(
        lan={mac.name: lan_address(mac, facts[mac.name]) for mac in macs},
        cabling=find_links(ports, [mac.name for mac in inventory.macs]),
        interfaces={name: networksetup.thunderbolt_interfaces(own) for name, own in hardware_ports.items()},
        active_rdma={name: frozenset(port.interface for port in own if port.is_active) for name, own in rdma.items()},
    )


def _known(facts: Facts | None, fact: Fact[Any], otherwise: Any) -> Any:
    """The value, or `otherwise` when it was not asked (over the LAN) or is not known (then there is no cable to use)."""
    if facts is None or fact not in facts or isinstance(facts[fact], Unknown):
        return otherwise
    return facts[fact]


def _memory(mac: Mac, facts: Facts | None) -> MacMemory:
    """What the Mac says; what the inventory says where it says nothing."""
    identity: sysctl.Identity | Unknown = _known(facts, sysctl.IDENTITY, Unknown("not read"))
    limit: int | Unsupported | Unknown = _known(facts, sysctl.WIRED_LIMIT, Unknown("not read"))
    model, memory_bytes = (mac.hardware, mac.memory_bytes) if isinstance(identity, Unknown) else (identity.hardware, identity.memory_bytes)
    row = hardware.find(model) or hardware.find(mac.hardware)
    wanted = None if mac.settings.wired_limit == "auto" else mac.settings.wired_limit
    limit_bytes = wanted if isinstance(limit, (Unknown, Unsupported)) else limit * MIB or None
    return MacMemory(mac.name, memory_bytes, limit_bytes, row.bandwidth_with(memory_bytes // GIB) if row else None)


def _as_number(mac: Mac) -> str:
    try:
        return str(ipaddress.IPv4Address(mac.address))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(mac.address, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise MacfleetError(
            f"{mac.address} has no IPv4 address: {error.strerror}", mac=mac.name, hint="write the address as numbers in the inventory"
        ) from error


def _unreadable(service: Service, silent: Mapping[str, MacfleetError]) -> ServiceFailed:
    return ServiceFailed(
        f"{service.name} was not deployed: {', '.join(silent)} could not be read",
        truths=(*(f"{mac}: {error.what}" for mac, error in silent.items()), "nothing was changed"),
        hint="a gang needs every one of its Macs; name the others with --macs to do without",
    )
