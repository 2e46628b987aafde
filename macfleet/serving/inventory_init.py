"""Macs that are not in any inventory yet: where they are, what they are, and which cable leads from which to which."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from macfleet.core.errors import AuthenticationFailed, RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.outcome import Report
from macfleet.core.units import GIB
from macfleet.core.words import count
from macfleet.fleet.bonjour import Sighting
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.pin import HostKey
from macfleet.inventory import hardware
from macfleet.inventory.mac import Inventory, Mac, SshSettings
from macfleet.inventory.settings import Topology
from macfleet.inventory.write import Findings, FoundMac, UnreadMac, distinct_names
from macfleet.macos import networksetup, scutil, sw_vers, sysctl, system_profiler, uname
from macfleet.macos.cabling import Cabling, End, find_links, is_mesh, ring_order
from macfleet.macos.system_profiler import Port

_QUESTIONS: tuple[Fact[Any], ...] = (
    uname.KERNEL,
    sysctl.IDENTITY,
    sw_vers.VERSION,
    system_profiler.THUNDERBOLT,
    networksetup.HARDWARE_PORTS,
    scutil.NAMES,
)


@dataclass(frozen=True)
class Place:
    """Where an SSH server answers. `announced` is what Bonjour said of it."""

    address: str
    port: int = 22
    announced: Sighting | None = None

    @property
    def label(self) -> str:
        """How it is called until it has said its name."""
        place = self.address if self.port == 22 else f"{self.address}:{self.port}"
        return f"{self.announced.name} ({place})" if self.announced else place


def parse_place(text: str) -> Place:
    """`10.0.0.1`, `studio-1.local`, `10.0.0.1:2222`, `[fe80::1]:2222`. Raises RequestError for what is none."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, "22"
    host = host.strip("[]")
    if not host or "@" in host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise RequestError(f'"{text}" is no address; write "10.0.0.1", "studio-1.local" or "10.0.0.1:2222"', hint="the user is --user")
    return Place(host, int(port))


def places_of(sightings: Sequence[Sighting]) -> tuple[Place, ...]:
    return tuple(Place(each.address, each.port, each) for each in sightings if each.may_be_a_mac)


def provisional(places: Sequence[Place], path: Path, ssh: SshSettings, user: str) -> Inventory:
    """An inventory of what nobody has read yet: enough to look at host keys and to log in."""
    macs = tuple(Mac(place.label, place.address, "", 0, port=place.port, user=user) for place in dict.fromkeys(places))
    return Inventory(path, "fleet", macs, ssh=ssh)


def same_macs(shown: Mapping[str, HostKey]) -> dict[str, str]:
    """Which of these are a Mac that stands here already, by its host key: label → the first label of the same key."""
    first: dict[HostKey, str] = {}
    return {label: first[key] for label, key in shown.items() if first.setdefault(key, label) != label}


def read(fleet: Fleet) -> Report[Facts]:
    """What each of them says of itself, over whatever login `fleet` has there."""
    return fleet.read(lambda mac: _QUESTIONS)


def lets_nobody_in(report: Report[Facts]) -> list[str]:
    """Those that answer and do not know the key: a password would help."""
    return [label for label, error in report.errors().items() if isinstance(error, AuthenticationFailed)]


def merged(report: Report[Facts], later: Report[Facts]) -> Report[Facts]:
    """The report, with the outcomes of a later attempt in place of the earlier ones."""
    again = {outcome.mac: outcome for outcome in later}
    return Report(tuple(again.get(outcome.mac, outcome) for outcome in report))


def findings(places: Sequence[Place], facts: Mapping[str, Facts], unread: Mapping[str, str], user: str) -> Findings:
    """What goes into the file. `unread`: label → why that one could not be read."""
    reasons = {**unread, **{label: reason for label, said in facts.items() if (reason := _why_not(said))}}
    read_places = [place for place in places if place.label in facts and place.label not in reasons]
    names = dict(
        zip([place.label for place in read_places], distinct_names(_said_name(place, facts) for place in read_places), strict=True)
    )
    ports = {names[label]: ports for label, said in facts.items() if label in names and not isinstance(ports := said[_PORTS], Unknown)}
    cabling = find_links(ports, list(names.values()))
    macs = tuple(_found(names[place.label], place, facts[place.label], cabling) for place in read_places)
    found = Findings(user or getpass.getuser(), macs, _unread([place for place in places if place.label in reasons], reasons))
    return replace(found, cables=_cables(cabling), notes=_notes(cabling), topology=_topology(cabling, macs))


_PORTS: Fact[tuple[Port, ...]] = system_profiler.THUNDERBOLT


def _why_not(said: Facts) -> str:
    kernel, identity = said[uname.KERNEL], said[sysctl.IDENTITY]
    if isinstance(kernel, str) and kernel != "Darwin":
        return f"this is no Mac: its kernel is {kernel}"
    if isinstance(identity, Unknown):
        return f"what it is cannot be read: {identity.reason}"
    if not identity.is_apple_silicon:
        return f"this is an Intel Mac ({identity.hardware}); macfleet is for Apple silicon"
    row = hardware.find(identity.hardware)
    if row is None:
        return f'"{identity.hardware}" is no Mac that this macfleet knows; a newer one may'
    if not row.comes_with(identity.memory_bytes // GIB):
        return f"a {row.name} with {identity.memory_bytes // GIB} GiB is none that this macfleet knows; a newer one may"
    return ""


def _said_name(place: Place, facts: Mapping[str, Facts]) -> str:
    """Its Bonjour name, which is unique in its network; the computer's name where it has none."""
    said = facts[place.label][scutil.NAMES]
    own = "" if isinstance(said, Unknown) else said.get("LocalHostName") or said.get("ComputerName") or ""
    return own or (place.announced.name if place.announced else place.address)


def _found(name: str, place: Place, said: Facts, cabling: Cabling) -> FoundMac:
    identity, version, ports = said[sysctl.IDENTITY], said[sw_vers.VERSION], said[_PORTS]
    assert not isinstance(identity, Unknown), "such a Mac stands among the unread"
    remarks = [
        "" if isinstance(version, Unknown) else str(version),
        "" if isinstance(ports, Unknown) else count(len(ports), "Thunderbolt port"),
    ]
    memory_bytes = max(GIB, identity.memory_bytes // GIB * GIB)
    hardware_ports = said[networksetup.HARDWARE_PORTS]
    interfaces = {} if isinstance(hardware_ports, Unknown) else networksetup.thunderbolt_interfaces(hardware_ports)
    told = tuple(_port(name, port, interfaces, cabling) for port in cabling.ports.get(name, ()))
    return FoundMac(name, place.address, identity.hardware, memory_bytes, place.port, ", ".join(filter(None, remarks)), told)


def _port(name: str, port: Port, interfaces: Mapping[int, str], cabling: Cabling) -> str:
    """`2 (en3) to studio-3:1 at 80 Gb/s`, `4 (en5) free`: which interface a port has is what the Mac says, never computed."""
    here = End(name, port.receptacle)
    others = [link.b if link.a == here else link.a for link in cabling.links if here in (link.a, link.b)]
    interface = f" ({interfaces[port.receptacle]})" if port.receptacle in interfaces else ""
    speed = f" at {port.speed_gb_s} Gb/s" if port.speed_gb_s else ""
    if others:
        return f"{port.receptacle}{interface} to {' and '.join(f'{other.mac}:{other.receptacle}' for other in others)}{speed}"
    return f"{port.receptacle}{interface} {f'in use{speed}' if port.connected else 'free'}"


def _unread(places: Sequence[Place], reasons: Mapping[str, str]) -> tuple[UnreadMac, ...]:
    names = distinct_names(place.announced.name if place.announced else f"mac-{place.address}" for place in places)
    return tuple(
        UnreadMac(name, place.address, _told(place, reasons), place.port, place.announced.model if place.announced else None)
        for name, place in zip(names, places, strict=True)
    )


def _told(place: Place, reasons: Mapping[str, str]) -> str:
    reason = reasons[place.label]
    return reason if place.address in reason else f"{place.label}: {reason}"


def _cables(cabling: Cabling) -> tuple[str, ...]:
    """Without those behind a hub, whose one port leads to several Macs."""
    links = [link for link in cabling.links if not link.via_hub and link.a.mac != link.b.mac]
    return tuple(f"{link.a.mac}:{link.a.receptacle} {link.b.mac}:{link.b.receptacle}" for link in links)


def _notes(cabling: Cabling) -> tuple[str, ...]:
    hubs = [
        f"{link} leads through a hub and is left out: such a port has more than one other end" for link in cabling.links if link.via_hub
    ]
    elsewhere = [f"{one.end} leads to a {one.model_identifier} that is not among these Macs" for one in cabling.dangling]
    return (*hubs, *elsewhere)


def _topology(cabling: Cabling, macs: Sequence[FoundMac]) -> Topology:
    """As it is cabled; where that is neither, what these Macs have ports for."""
    names = [mac.name for mac in macs]
    if len(names) > 2 and not is_mesh(cabling, names) and ring_order(cabling, names):
        return Topology.RING
    fewest = min((len(ports) for ports in cabling.ports.values()), default=0)
    if not fewest and len(names) > 1:
        return Topology.NONE
    return Topology.MESH if is_mesh(cabling, names) or len(names) - 1 <= fewest else Topology.RING
