"""`thunderbolt_network`: no Thunderbolt port in a bridge, now and over reboots, and a static address for both ends of every cable.

RDMA needs both: a port that is a member of a bridge has none, even while the bridge is down, and JACCL finds its way by the
IPv4 address of the port. The network location is never switched: that has cost people their other networks (exo#1066).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from pydantic import Field, field_validator

from macfleet.core.change import Change, Diff, Difference, Unsupported
from macfleet.core.command import Command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.template import render
from macfleet.inventory import hardware
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos import ifconfig, networksetup, plutil
from macfleet.macos.cabling import Cabling, End, addresses, find_links
from macfleet.macos.networksetup import HardwarePort, thunderbolt_interfaces
from macfleet.macos.system_profiler import THUNDERBOLT, Port
from macfleet.modules.base import Surroundings
from macfleet.modules.files import Wanted
from macfleet.modules.job import WantedJob

_BRIDGE_SERVICE = "Thunderbolt Bridge"
_MOST_PORTS = 8
_KEEPER = "thunderbolt-bridge"
_HOMES = IPv4Network("192.168.0.0/24")


class ThunderboltNetworkArgs(Strict):
    network: IPv4Network = Field(description="Each cable gets a /30 of it; no network of 192.168.0.0/24, which homes and mlx use")

    keeper: bool = Field(
        True, description="Also a LaunchDaemon that takes the ports out again: macOS puts them back at boot and when networks change"
    )

    @field_validator("network")
    @classmethod
    def _is_nobodys_home(cls, network: IPv4Network) -> IPv4Network:
        if network.overlaps(_HOMES):
            raise ValueError(f"{network} has addresses of {_HOMES}, which home networks and mlx.distributed_config use; take 10.55.0.0/16")
        return network


def _script(mac: Mac) -> Wanted:
    return Wanted(f"{mac.paths.home}/bin/thunderbolt-bridge.sh", "755", "root:wheel")


def _job(mac: Mac) -> WantedJob:
    return WantedJob(mac, "dev.macfleet.thunderbolt-bridge")


def service_name(receptacle: int) -> str:
    return f"macfleet Thunderbolt {receptacle}"


class ThunderboltNetwork:
    name = "thunderbolt_network"
    Args = ThunderboltNetworkArgs
    looks_around: tuple[Fact[Any], ...] = (THUNDERBOLT,)
    example = "thunderbolt_network: {network: 10.55.0.0/16}"

    def facts(self, args: ThunderboltNetworkArgs, mac: Mac) -> Sequence[Fact[Any]]:
        services = (networksetup.service_info(service_name(port)) for port in _receptacles(mac))
        keeper = (*_script(mac).facts, *_job(mac).facts) if args.keeper else ()
        return (*_NEEDED, *services, *keeper)

    def diff(self, args: ThunderboltNetworkArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        unknown = [facts[fact] for fact in _NEEDED if isinstance(facts[fact], Unknown)]
        if unknown:
            return unknown
        cabling = find_links(_ports(around, mac, facts), around.order)
        keeper = _keeper(mac, facts, around) if args.keeper else ()
        return [*_bridges(facts), *_cables(mac, args.network, cabling, facts), *keeper]


_NEEDED: tuple[Fact[Any], ...] = (
    THUNDERBOLT,
    networksetup.HARDWARE_PORTS,
    networksetup.SERVICES,
    ifconfig.INTERFACES,
    plutil.STORED_BRIDGES,
)


def _ports(around: Surroundings, mac: Mac, facts: Facts) -> dict[str, tuple[Port, ...]]:
    """What every Mac that answered prints of its ports; this one's own as read last."""
    read = {**around.facts, mac.name: facts}
    return {name: ports for name, known in read.items() if not isinstance(ports := known[THUNDERBOLT], Unknown)}


def _keeper(mac: Mac, facts: Facts, around: Surroundings) -> Iterator[Difference]:
    """The script first: the job runs it as soon as it is loaded."""
    script, job = _script(mac), _job(mac)
    written = script.difference(mac, facts, render(f"{_KEEPER}.sh.j2", around.templates, {}).encode())
    if written is not None:
        yield written
    values = {"label": job.label, "paths": mac.paths, "script": script.path}
    yield from job.difference(facts, render(f"{_KEEPER}.plist.j2", around.templates, values).encode())


def _receptacles(mac: Mac) -> range:
    known = hardware.find(mac.hardware)
    return range(1, (known.thunderbolt_ports if known else _MOST_PORTS) + 1)


def _bridges(facts: Facts) -> Iterator[Change]:
    """The service first, while macOS still knows the bridge; then the kernel's members, then the stored ones."""
    devices = set(thunderbolt_interfaces(_known(facts[networksetup.HARDWARE_PORTS])).values())
    if _is_enabled(_known(facts[networksetup.SERVICES]), _BRIDGE_SERVICE):
        yield _switched_off(_BRIDGE_SERVICE, "on")
    for interface in _known(facts[ifconfig.INTERFACES]):
        members = [member for member in interface.members if member in devices]
        if members and not _is_sharing(interface.name):
            yield _emptied(interface, members)
    for bridge, stored in _known(facts[plutil.STORED_BRIDGES]).items():
        kept = plutil.stored_members(stored)
        if devices & set(kept) and not _is_sharing(bridge):
            do, undo = plutil.forget_bridge(bridge), plutil.store_bridge(bridge, stored)
            yield Change(f"{bridge} in the stored preferences", " ".join(kept), "absent", (do,), undo=(undo,))


def _switched_off(service: str, before: str) -> Change:
    off, on = networksetup.set_service_enabled(service, False), networksetup.set_service_enabled(service, True)
    return Change(f'network service "{service}"', before, "off", (off,), undo=(on,))


def _emptied(bridge: ifconfig.Interface, members: Sequence[str]) -> Change:
    remove = (ifconfig.remove_bridge_member(member, bridge.name) for member in members)
    undo = (ifconfig.add_bridge_member(member, bridge.name) for member in members)
    up = (ifconfig.bridge_up(bridge.name),) if bridge.is_up else ()
    return Change(f"{bridge.name} members", " ".join(members), "none", (*remove, ifconfig.bridge_down(bridge.name)), undo=(*undo, *up))


def _cables(mac: Mac, network: IPv4Network, cabling: Cabling, facts: Facts) -> Iterator[Difference]:
    given = addresses(cabling, network)
    yield from _stale(mac, given, facts)
    hardware_ports: Mapping[int, HardwarePort] = {
        port.receptacle: port for port in _known(facts[networksetup.HARDWARE_PORTS]) if port.receptacle is not None
    }
    for receptacle in _receptacles(mac):
        end = End(mac.name, receptacle)
        if end not in given:
            continue
        if receptacle not in hardware_ports:
            yield Unknown(f"{end} has a cable, but networksetup lists no such port")
            continue
        ip, mask, _ = given[end]
        change = _address(end, hardware_ports[receptacle], ip, mask, facts)
        if change:
            yield change
    for cable in cabling.dangling:
        if cable.end.mac == mac.name:
            yield Unsupported(f"{cable.end} leads to a Mac that did not answer or is not in the inventory: no address for this cable")


def _stale(mac: Mac, given: Mapping[End, tuple[str, str, str]], facts: Facts) -> Iterator[Change]:
    """A cable that moved to another port of this Mac takes its address along: the old port's service must give it up first.

    A service whose cable is merely out keeps its address: plugged in again, the cable works at once.
    """
    wanted = {given[end][0]: end.receptacle for end in given if end.mac == mac.name}
    for receptacle in _receptacles(mac):
        service = service_name(receptacle)
        if not _is_enabled(_known(facts[networksetup.SERVICES]), service):
            continue
        info = facts[networksetup.service_info(service)]
        if not isinstance(info, Unknown) and info.ip is not None and wanted.get(info.ip, receptacle) != receptacle:
            yield _switched_off(service, f"has {info.ip} of Thunderbolt {wanted[info.ip]}")


def _address(end: End, port: HardwarePort, ip: str, mask: str, facts: Facts) -> Change | None:
    service = service_name(end.receptacle)
    prefix = IPv4Network(f"0.0.0.0/{mask}").prefixlen
    exists = any(known.name == service for known in _known(facts[networksetup.SERVICES]))
    before = _before(service, port.device, f"{ip}/{prefix}", exists, facts)
    if before is None:
        return None
    create: tuple[Command, ...] = () if exists else (networksetup.create_service(service, port.name),)
    commands = (*create, networksetup.set_manual(service, ip, mask), networksetup.set_service_enabled(service, True))
    return Change(f"{end} ({port.device})", before, f"{ip}/{prefix}", commands, undo=_undo(service, exists, facts))


def _undo(service: str, exists: bool, facts: Facts) -> tuple[Command, ...]:
    """A service of ours goes; one that was there gets back its address, and its switch."""
    if not exists:
        return (networksetup.remove_service(service),)
    info = facts[networksetup.service_info(service)]
    back = () if isinstance(info, Unknown) else networksetup.set_as(service, info)
    off = () if _is_enabled(_known(facts[networksetup.SERVICES]), service) else (networksetup.set_service_enabled(service, False),)
    return (*back, *off)


def _before(service: str, device: str, want: str, exists: bool, facts: Facts) -> str | None:
    """What stands instead of the wanted address, stored or in the kernel; None when both agree."""
    if not exists:
        return "no service"
    if not _is_enabled(_known(facts[networksetup.SERVICES]), service):
        return "service off"
    info = facts[networksetup.service_info(service)]
    if isinstance(info, Unknown):
        return "unreadable"
    have = f"{info.ip}/{IPv4Network(f'0.0.0.0/{info.mask}').prefixlen}" if info.ip and info.mask else "no address"
    if info.method != "manual" or have != want:
        return f"{info.method} {have}"
    interface = next((known for known in _known(facts[ifconfig.INTERFACES]) if known.name == device), None)
    if interface is None:
        return "no interface"
    # Without a Mac at the other end macOS keeps the address for later: a neighbour that lost its power is no difference here.
    is_waiting = interface.is_active is False
    return None if is_waiting or want in map(str, interface.ipv4) else "not in force"


def _is_enabled(services: Sequence[networksetup.NetworkService], name: str) -> bool:
    return any(service.name == name and service.is_enabled for service in services)


def _is_sharing(bridge: str) -> bool:
    """bridge100 and above are Internet Sharing's and virtual machines'."""
    digits = bridge.removeprefix("bridge")
    return digits.isdigit() and int(digits) >= 100


def _known(value: Any) -> Any:
    assert not isinstance(value, Unknown)  # diff returned before
    return value
