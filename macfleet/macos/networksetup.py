"""`networksetup`: which interface each Thunderbolt port is, the network services, and their addresses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact
from macfleet.macos.answers import ask, unparsable

# The first line of a script is what an error shows of it.
_REMOVE = """# networksetup -removenetworkservice
networksetup -getinfo "$1" >/dev/null 2>&1 || exit 0
networksetup -removenetworkservice "$1\""""


@dataclass(frozen=True)
class HardwarePort:
    """`name` "Thunderbolt 1" or "Wi-Fi", `device` "en2"."""

    name: str
    device: str
    ethernet_address: str | None = None

    @property
    def receptacle(self) -> int | None:
        """N of "Thunderbolt N"; None for everything else, the Thunderbolt Bridge included."""
        match = re.fullmatch(r"Thunderbolt (\d{1,2})", self.name)
        return int(match[1]) if match else None


@dataclass(frozen=True)
class NetworkService:
    name: str
    is_enabled: bool


@dataclass(frozen=True)
class ServiceInfo:
    """How a service gets its IPv4 address: `method` "manual", "dhcp" or whatever else macOS calls it in its first line."""

    method: str
    ip: str | None
    mask: str | None
    router: str | None


def parse_hardware_ports(text: str) -> tuple[HardwarePort, ...]:
    """Every hardware port. The closing VLAN section must be there: without it the list may be cut short."""
    listing, separator, _ = text.partition("VLAN Configurations")
    if not separator:
        raise unparsable("networksetup -listallhardwareports", "no VLAN section at the end: cut short?")
    rows = re.findall(r"^[ \t]*(Hardware Port|Device|Ethernet Address):[ \t]*(.*?)[ \t\r]*$", listing, re.MULTILINE)
    starts = [index for index, (key, _) in enumerate(rows) if key == "Hardware Port"]
    if not starts or starts[0] != 0:
        raise unparsable("networksetup -listallhardwareports", "no hardware port at its beginning")
    return tuple(_hardware_port(rows[start:end]) for start, end in zip(starts, [*starts[1:], len(rows)], strict=True))


def thunderbolt_interfaces(ports: Sequence[HardwarePort]) -> dict[int, str]:
    """Receptacle → interface, as macOS itself says. Never by arithmetic: on a MacBook Pro M5 Max port 2 is en6 and port 3 is en2."""
    return {port.receptacle: port.device for port in ports if port.receptacle is not None and port.device}


def parse_services(text: str) -> tuple[NetworkService, ...]:
    """The services in order; the first line only explains the asterisk of a disabled one."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if not lines or "*" not in lines[0]:
        raise unparsable("networksetup -listallnetworkservices", "no line that explains the asterisk")
    return tuple(NetworkService(line.removeprefix("*"), is_enabled=not line.startswith("*")) for line in lines[1:])


def parse_service_info(text: str) -> ServiceInfo:
    """Method and addresses from `-getinfo`; an address that is "none", "(null)" or empty is None."""
    lines = text.strip().splitlines()
    if not lines or not (method := re.fullmatch(r"(\S.*?) Configuration\s*", lines[0])):
        raise unparsable("networksetup -getinfo", "its first line names no configuration")
    row = r"^(IP address|Subnet mask|Router):[ \t]*([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)[ \t\r]*$"
    rows = dict(re.findall(row, text, re.MULTILINE))
    if method[1].lower() == "manual" and not rows.keys() >= {"IP address", "Subnet mask"}:
        raise unparsable("networksetup -getinfo", "a manual address without the address, or without its mask")
    return ServiceInfo(method[1].lower(), rows.get("IP address"), rows.get("Subnet mask"), rows.get("Router"))


HARDWARE_PORTS = ask("hardware-ports", command("networksetup", "-listallhardwareports"), parse_hardware_ports)
SERVICES = ask("network-services", command("networksetup", "-listallnetworkservices"), parse_services)


def service_info(service: str) -> Fact[ServiceInfo]:
    """Unknown when there is no such service: look in SERVICES first."""
    return ask(f"network-service {service}", command("networksetup", "-getinfo", service), parse_service_info)


def create_service(service: str, hardware_port: str) -> Command:
    return command("networksetup", "-createnetworkservice", service, hardware_port, sudo=True)


def remove_service(service: str) -> Command:
    """Also where it is gone already."""
    return command("sh", "-c", _REMOVE, "sh", service, sudo=True)


def set_manual(service: str, ip: str, mask: str, router: str | None = None) -> Command:
    """A static address; without a router it survives a reboot and leads nowhere else."""
    return command("networksetup", "-setmanual", service, ip, mask, *([router] if router else []), sudo=True)


def set_dhcp(service: str) -> Command:
    return command("networksetup", "-setdhcp", service, sudo=True)


def set_as(service: str, info: ServiceInfo) -> tuple[Command, ...]:
    """Address and method as `info` says; nothing for a method that is neither manual nor DHCP."""
    if info.method == "dhcp":
        return (set_dhcp(service),)
    return (set_manual(service, info.ip, info.mask, info.router),) if info.method == "manual" and info.ip and info.mask else ()


def _hardware_port(rows: Sequence[tuple[str, str]]) -> HardwarePort:
    """The name, then its device and its address, each once: a second one is that of a port whose name is missing."""
    said = dict(rows)
    if "Device" not in said or len(said) != len(rows) or not said["Device"].isascii():
        raise unparsable("networksetup -listallhardwareports", f'"{said["Hardware Port"]}" has no Device line, or several')
    return HardwarePort(said["Hardware Port"], said["Device"], said.get("Ethernet Address") or None)


def set_service_enabled(service: str, enabled: bool) -> Command:
    return command("networksetup", "-setnetworkserviceenabled", service, "on" if enabled else "off", sudo=True)
