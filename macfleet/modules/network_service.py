"""`network_service`: how a service of System Settings > Network gets its IPv4 address, and whether it is on."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from macfleet.core.change import Change, Diff
from macfleet.core.command import Command
from macfleet.core.errors import RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.networksetup import (
    SERVICES,
    NetworkService,
    ServiceInfo,
    create_service,
    remove_service,
    service_info,
    set_as,
    set_service_enabled,
)
from macfleet.macos.printenv import OWN_ADDRESS
from macfleet.modules.base import Surroundings


class NetworkServiceArgs(Strict):
    service: str = Field(description="The name of the service, like Ethernet")
    hardware_port: str | None = Field(None, description="The port it is made for where there is no such service, like Thunderbolt 2")
    method: Literal["dhcp", "manual"] = Field("dhcp", description="Where its address comes from")
    address: IPv4Interface | None = Field(None, description="For `manual`, with its prefix: 10.0.0.11/24")
    router: IPv4Address | None = Field(None, description="For `manual`; without one the service leads to its own network only")
    enabled: bool = Field(True, description="Whether the service is on")

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if (self.address is not None) != (self.method == "manual"):
            raise ValueError('"manual" needs an address, and "dhcp" has none')
        return self

    def wanted(self) -> ServiceInfo:
        router = str(self.router) if self.router else None
        return ServiceInfo(self.method, _ip(self.address), str(self.address.netmask) if self.address else None, router)


class NetworkServiceModule:
    """Never changes the address that macfleet comes in by: that would cut its own line."""

    name = "network_service"
    Args = NetworkServiceArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
network_service:
  service: Storage
  hardware_port: Thunderbolt 4
  method: manual
  address: 10.9.0.11/24
"""

    def facts(self, args: NetworkServiceArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (SERVICES, service_info(args.service), OWN_ADDRESS)

    def diff(self, args: NetworkServiceArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        services, info, own = facts[SERVICES], facts[service_info(args.service)], facts[OWN_ADDRESS]
        if isinstance(services, Unknown):
            return (services,)
        there = next((service for service in services if service.name == args.service), None)
        if there is None:
            return (_missing(args),)
        if isinstance(info, Unknown):
            return (info,)
        want = args.wanted()
        if _agrees(info, want) and there.is_enabled == args.enabled:
            return ()
        _refuse_own_line(mac, args, info, own)
        return (_change(args, there, info, want),)


def _ip(address: IPv4Interface | None) -> str | None:
    return str(address.ip) if address else None


def _agrees(have: ServiceInfo, want: ServiceInfo) -> bool:
    """By DHCP the address is whatever the lease says."""
    return have.method == want.method and (want.method == "dhcp" or have == want)


def _missing(args: NetworkServiceArgs) -> Change | Unknown:
    if args.hardware_port is None:
        return Unknown(f'there is no network service "{args.service}", and the task names no "hardware_port" to make it for')
    commands = (create_service(args.service, args.hardware_port), *set_as(args.service, args.wanted()), *_switch(args, True))
    return _told(args, "absent", commands, (remove_service(args.service),))


def _change(args: NetworkServiceArgs, there: NetworkService, info: ServiceInfo, want: ServiceInfo) -> Change:
    address = () if _agrees(info, want) else set_as(args.service, want)
    back = () if _agrees(info, want) else set_as(args.service, info)
    undo = (*back, *(() if there.is_enabled == args.enabled else (set_service_enabled(args.service, there.is_enabled),)))
    return _told(args, _spelt(info, there.is_enabled), (*address, *_switch(args, there.is_enabled)), undo)


def _switch(args: NetworkServiceArgs, is_enabled: bool) -> tuple[Command, ...]:
    return () if is_enabled == args.enabled else (set_service_enabled(args.service, args.enabled),)


def _told(args: NetworkServiceArgs, before: str, commands: tuple[Command, ...], undo: tuple[Command, ...]) -> Change:
    return Change(f'network service "{args.service}"', before, _spelt(args.wanted(), args.enabled), commands, undo)


def _spelt(info: ServiceInfo, is_enabled: bool) -> str:
    address = str(IPv4Interface(f"{info.ip}/{info.mask}")) if info.method == "manual" and info.ip and info.mask else info.method
    return address + (f" by {info.router}" if info.method == "manual" and info.router else "") + ("" if is_enabled else ", off")


def _refuse_own_line(mac: Mac, args: NetworkServiceArgs, info: ServiceInfo, told: str | Unknown | None) -> None:
    """The inventory may hold a name; the Mac's own sshd knows the address."""
    if info.ip in (mac.address, told) and info.ip and (not args.enabled or _ip(args.address) != info.ip):
        raise RequestError(
            f'"{args.service}" has {info.ip}, the address macfleet comes in by: changing it would cut the line',
            mac=mac.name,
            hint="reach the Mac by another address, or change this one at the Mac",
        )
