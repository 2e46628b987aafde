"""`system_profiler SPThunderboltDataType -json`: the Thunderbolt ports and what is at the other end of each cable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.command import command
from macfleet.macos.answers import ask, parse_json_object, unparsable

_PROGRAM = "system_profiler SPThunderboltDataType"
# The XDomain service that a Mac with RDMA on offers to its neighbours (0xFA57). Its key is garbled in the JSON of
# macOS 27, so the number is the only reliable sign; it speaks of the peer, never of the Mac that prints it.
RDMA_PROTOCOL = 64087


@dataclass(frozen=True)
class Peer:
    """The Mac at the other end. `domain_uuid` is the UUID of its port, as it prints it itself; `has_rdma` its RDMA switch."""

    domain_uuid: str
    model_identifier: str
    has_rdma: bool = False
    via_hub: bool = False


@dataclass(frozen=True)
class Port:
    """One Thunderbolt port. `receptacle` is the number in "Thunderbolt N"; speeds in Gb/s.

    `speed_gb_s` is what the cable trained at, None when nothing is connected; `max_gb_s` is known of an idle port only.
    `connected` without a peer is a disk, a dock, or a Mac that has not been seen yet.
    """

    receptacle: int
    domain_uuid: str | None = None
    speed_gb_s: int | None = None
    max_gb_s: int | None = None
    peer: Peer | None = None
    connected: bool = False
    other_peers: tuple[Peer, ...] = ()  # further Macs behind the same hub

    @property
    def peers(self) -> tuple[Peer, ...]:
        return () if self.peer is None else (self.peer, *self.other_peers)

    @property
    def generation(self) -> int | None:
        """5 (RDMA is possible) or 4; None when a slow cable hides it: a Thunderbolt 5 port may run at 40 Gb/s."""
        if max(self.speed_gb_s or 0, self.max_gb_s or 0) >= 80:
            return 5
        return 4 if self.max_gb_s else None


def generation(ports: Sequence[Port]) -> int | None:
    """The Thunderbolt generation of a whole Mac, by its best port; None when no port tells."""
    return max((port.generation for port in ports if port.generation), default=None)


def parse_thunderbolt(text: str) -> tuple[Port, ...]:
    """All ports by number; empty on a Mac without Thunderbolt (a virtual machine).

    Raises Unparsable for text that is cut short, a bus without a port number, and a bus with two ports (Intel).
    """
    buses = parse_json_object(_PROGRAM, text).get("SPThunderboltDataType")
    if not isinstance(buses, list):
        raise unparsable(_PROGRAM, "no SPThunderboltDataType list")
    ports = [_port(bus) for bus in buses]
    if len({port.receptacle for port in ports}) != len(ports):
        raise unparsable(_PROGRAM, "two buses with the same port number")
    return tuple(sorted(ports, key=lambda port: port.receptacle))


# The cache behind it may take seconds; on a loaded Mac more.
THUNDERBOLT = ask("thunderbolt", command("system_profiler", "SPThunderboltDataType", "-json", timeout_s=30), parse_thunderbolt)


def _receptacles(bus: dict[str, Any]) -> list[Any]:
    return [value for key, value in bus.items() if re.fullmatch(r"receptacle_\d+_tag", key)]


def _port(bus: Any) -> Port:
    """A bus that is not understood is never left out: a port that is missing looks like a cable that is not there."""
    receptacles = _receptacles(bus) if isinstance(bus, dict) else []
    if len(receptacles) != 1 or not isinstance(receptacles[0], dict):
        name = bus.get("_name") if isinstance(bus, dict) else bus
        raise unparsable(_PROGRAM, f"bus {name} has {len(receptacles)} ports{'; an Intel Mac?' if len(receptacles) > 1 else ''}")
    receptacle = receptacles[0]
    number = str(receptacle.get("receptacle_id_key", "")).strip()
    if not re.fullmatch(r"[1-9][0-9]?", number):
        raise unparsable(_PROGRAM, f"bus {bus.get('_name')} has no port number")

    peers = tuple(_peers(bus.get("_items"), depth=0))
    connected = _is_connected(receptacle, bool(peers))
    speed_gb_s = _speed(receptacle.get("current_speed_key"))
    return Port(
        receptacle=int(number),
        domain_uuid=_text(bus.get("domain_uuid_key")),
        speed_gb_s=speed_gb_s if connected else None,
        max_gb_s=None if connected else speed_gb_s,
        peer=peers[0] if peers else None,
        connected=connected,
        other_peers=peers[1:],
    )


def _is_connected(receptacle: dict[str, Any], has_peer: bool) -> bool:
    match receptacle.get("receptacle_status_key"):
        case "receptacle_connected":
            return True
        case "receptacle_no_devices_connected":
            return False
    return has_peer


def _peers(items: Any, depth: int) -> Iterator[Peer]:
    """A Mac has a domain of its own, a dock or disk has none; a Mac behind a hub is nested one level deeper."""
    for item in _list(items, "devices"):
        if not isinstance(item, dict):
            raise unparsable(_PROGRAM, f"a connected device is {str(item)[:40]!r}")
        domain = _text(item.get("domain_uuid_key"))
        if domain:
            yield Peer(domain, _text(item.get("device_name_key")) or "a Mac", _offers_rdma(item.get("services_title")), via_hub=depth > 0)
        yield from _peers(item.get("_items"), depth + 1)


def _offers_rdma(services: Any) -> bool:
    protocols = [service.get("protocol_id_key") if isinstance(service, dict) else None for service in _list(services, "services")]
    if not all(re.fullmatch(r"[0-9]{1,10}", str(protocol)) for protocol in protocols):
        raise unparsable(_PROGRAM, "a service of a connected Mac has no protocol number")
    return str(RDMA_PROTOCOL) in map(str, protocols)


def _list(value: Any, what: str) -> list[Any]:
    """An absent list is empty; anything else that is no list is not understood."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise unparsable(_PROGRAM, f"the {what} are {str(value)[:40]!r}, not a list")
    return value


def _speed(value: Any) -> int | None:
    """80 from `80 Gb/s`, 120 from `Up to 120 Gb/s`, 40 from the older `Up to 40 Gb/s x1`."""
    match = re.search(r"\b(\d{1,4})(?:[.,]\d+)?\s*Gb/s", value) if isinstance(value, str) else None
    return int(match[1]) if match else None


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise unparsable(_PROGRAM, f"{str(value)[:40]!r} stands where a name or UUID should")
    return (value or "").strip() or None
