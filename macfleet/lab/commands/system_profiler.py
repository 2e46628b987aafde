"""`system_profiler SPThunderboltDataType -json`: the ports and what each cable leads to."""

from __future__ import annotations

import json
import uuid
from typing import Any

from macfleet.lab.state import ThunderboltPort
from macfleet.lab.world import Call, Link, Reply, World, failed

# The service that a Mac with RDMA on shows to its neighbours. Its name is garbled like this on macOS 27.
RDMA_SERVICE = 64087
GARBLED = "\u02c7x6 + AD"


def system_profiler(world: World, call: Call) -> Reply:
    if "-json" not in call.arguments:
        return failed("system_profiler: a rehearsal Mac answers only with -json")
    if "SPThunderboltDataType" in call.arguments:
        if world.state.has_fault("intel"):
            return _print({"SPThunderboltDataType": [_intel_bus(world)]})
        # Buses are listed from the highest number down, as in every recording.
        return _print({"SPThunderboltDataType": [_bus(world, port) for port in reversed(world.state.ports)]})
    if "SPHardwareDataType" in call.arguments:
        return _print({"SPHardwareDataType": [_hardware(world)]})
    return _print({each: [] for each in call.arguments if each.startswith("SP")})


def _bus(world: World, port: ThunderboltPort) -> dict[str, Any]:
    link = world.link(port)
    idle = f"Up to {120 if world.hardware.thunderbolt_generation >= 5 else 40} Gb/s"
    bus = {
        "_name": f"thunderboltusb4_bus_{port.receptacle - 1}",
        "device_name_key": _family(world.hardware.name),
        "domain_uuid_key": port.domain_uuid,
        "receptacle_1_tag": {  # always 1 at this level, whatever the port
            "current_speed_key": f"{link.speed_gb_s} Gb/s" if link else idle,
            "link_status_key": "0x2" if link else "0x100",
            "receptacle_id_key": str(port.receptacle),
            "receptacle_status_key": "receptacle_connected" if link else "receptacle_no_devices_connected",
        },
        "route_string_key": "0",
        "switch_uid_key": port.switch_uid,
        "vendor_name_key": "Apple Inc.",
    }
    return {"_items": [_dock(link) if link.has_dock else _peer(link)], **bus} if link else bus


def _dock(link: Link) -> dict[str, Any]:
    """A dock has no domain of its own, and what is behind it stands one level deeper; reconstructed after exo PR#2063."""
    return {
        "_items": [_peer(link)],
        "_name": "Thunderbolt 4 Dock",
        "device_name_key": "Thunderbolt 4 Dock",
        "mode_key": "usb_four",
        "receptacle_upstream_ambiguous_tag": {
            "current_speed_key": f"{link.speed_gb_s} Gb/s",
            "link_status_key": "0x2",
            "receptacle_status_key": "receptacle_connected",
        },
        "route_string_key": "1",
        "switch_uid_key": "0x80878DFABA680000",
        "vendor_name_key": "A maker of docks",
    }


def _intel_bus(world: World) -> dict[str, Any]:
    """Thunderbolt 3: two ports behind one controller."""
    receptacles = {
        f"receptacle_{number}_tag": {
            "current_speed_key": "Up to 40 Gb/s",
            "link_status_key": "0x101",
            "receptacle_id_key": str(number),
            "receptacle_status_key": "receptacle_no_devices_connected",
        }
        for number in (1, 2)
    }
    return {"_name": "thunderbolt_bus_0", "device_name_key": "Mac Pro", "domain_uuid_key": world.state.ports[0].domain_uuid, **receptacles}


def _peer(link: Link) -> dict[str, Any]:
    return {
        "_name": _family(link.peer_hardware.name),
        "device_id_key": "0xA",
        "device_name_key": link.peer.hardware,
        "domain_uuid_key": link.peer_port.domain_uuid,
        "services_title": [
            _service(link, "service_ip", 1, 1),
            *([_service(link, "unknown_xd_service", RDMA_SERVICE, 0)] if link.peer.has_rdma else []),
        ],
        "vendor_id_key": "0x0A27",
        "vendor_name_key": "Apple Inc.",
    }


def _service(link: Link, name: str, protocol: int, revision: int) -> dict[str, Any]:
    service = {
        "_name": name,
        "protocol_id_key": protocol,
        "protocol_revision_key": revision,
        "protocol_version_key": 1,
        "service_uuid_key": str(uuid.uuid5(uuid.UUID(link.peer_port.domain_uuid), str(protocol))).upper(),
    }
    return {**service, "service_key_key": GARBLED} if protocol == RDMA_SERVICE else service


def _hardware(world: World) -> dict[str, Any]:
    return {
        "_name": "hardware_overview",
        "chip_type": world.hardware.chip,
        "machine_model": world.state.hardware,
        "machine_name": _family(world.hardware.name),
        "physical_memory": f"{world.state.memory_bytes // 1024**3} GB",
    }


def _family(name: str) -> str:
    """ "Mac Studio" of "Mac Studio M3 Ultra (2025)"."""
    return next((family for family in ("Mac Studio", "Mac mini", "MacBook Pro") if name.startswith(family)), "Mac")


def _print(value: dict[str, Any]) -> Reply:
    """Apple's layout: two spaces of indent, a blank on both sides of the colon, keys in order, text not escaped."""
    return Reply(json.dumps(value, indent=2, separators=(",", " : "), sort_keys=True, ensure_ascii=False) + "\n")
