"""`networksetup`: hardware ports, network services and their stored addresses."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address

from macfleet.lab.commands.ifconfig import ipv4_of, sharer_of
from macfleet.lab.factory import ethernet_address
from macfleet.lab.preferences import BRIDGE, stored_bridge
from macfleet.lab.state import NetworkService
from macfleet.lab.world import Call, Reply, World

_BAD_PARAMETERS = "** Error: The parameters were not valid.\n"
_CHANGES = {"-createnetworkservice", "-removenetworkservice", "-setmanual", "-setdhcp", "-setnetworkserviceenabled"}


def networksetup(world: World, call: Call) -> Reply:
    verb, *words = call.arguments or ("",)
    if verb in _CHANGES and not call.is_root:
        return Reply("** Error: Command requires admin privileges.\n", exit_status=14)
    match verb.lower(), words:
        case "-listallhardwareports", []:
            return _hardware_ports(world)
        case "-listallnetworkservices", []:
            rows = "".join(f"{'' if service.enabled else '*'}{service.name}\n" for service in world.state.services)
            return Reply("An asterisk (*) denotes that a network service is disabled.\n" + rows)
        case "-getinfo", [name]:
            service = _service(world, name)
            return _info(world, service) if service else _unknown(name)
        case "-createnetworkservice", [name, hardware_port]:
            return _create(world, name, hardware_port)
        case "-removenetworkservice", [name]:
            service = _service(world, name)
            if service:
                world.state.services.remove(service)
            return Reply() if service else _unknown(name)
        case "-setmanual", [name, address, mask, *router]:
            return _set_address(world, name, address, mask, next(iter(router), None))
        case "-setdhcp", [name, *_]:
            return _set_address(world, name, None, None)
        case "-setnetworkserviceenabled", [name, "on" | "off" as way]:
            service = _service(world, name)
            if service:
                service.enabled = way == "on"
            return Reply() if service else _unknown(name)
        case "-getnetworkserviceenabled", [name]:
            service = _service(world, name)
            return Reply("Enabled\n" if service.enabled else "Disabled\n") if service else _unknown(name)
    return Reply(_BAD_PARAMETERS, exit_status=4)


def hardware_ports(world: World) -> list[tuple[str, str, str]]:
    """Name, device and Ethernet address; the `Ethernet Adapter (enN)` rows are not Thunderbolt ports, though they look it."""
    name = world.state.name
    ports = [(port, device, ethernet_address(name, device)) for port, device in world.lan_devices()]
    ports[1:1] = [
        (f"Ethernet Adapter (en{8 + port.receptacle})", f"en{8 + port.receptacle}", ethernet_address(name, f"adapter{port.receptacle}"))
        for port in world.state.ports
    ]
    if world.kernel.has_bridge:
        ports.append(("Thunderbolt Bridge", BRIDGE, ethernet_address(name, BRIDGE)))
    return ports + [(f"Thunderbolt {port.receptacle}", port.interface, port.ethernet) for port in world.state.ports]


def _hardware_ports(world: World) -> Reply:
    blocks = [
        f"\nHardware Port: {port}\nDevice: {device}\nEthernet Address: {ethernet}\n" for port, device, ethernet in hardware_ports(world)
    ]
    return Reply("".join(blocks) + "\nVLAN Configurations\n===================\n\n")


def _info(world: World, service: NetworkService) -> Reply:
    address = ipv4_of(world, service.device)
    ethernet = next((row[2] for row in hardware_ports(world) if row[1] == service.device), "(null)")
    ipv6 = f"IPv6: Automatic\nIPv6 IP address: none\nIPv6 Router: none\nEthernet Address: {ethernet}\n"
    if service.address:
        return Reply(
            f"Manual Configuration\nIP address: {service.address}\nSubnet mask: {service.mask}\nRouter: {service.router or 'none'}\n{ipv6}"
        )
    port = world.port_of(service.device)
    router = "192.168.2.1" if port is not None and sharer_of(world, port) else "(null)"
    lease = f"IP address: {address[0]}\nSubnet mask: {address[1]}\nRouter: {router}\n" if address else ""
    return Reply(f"DHCP Configuration\n{lease}Client ID: \n{ipv6}")


def _create(world: World, name: str, hardware_port: str) -> Reply:
    device = next((row[1] for row in hardware_ports(world) if row[0] == hardware_port or row[1] == hardware_port), None)
    if device is None:
        return Reply(f"{hardware_port} is not a recognized hardware port.\n" + _BAD_PARAMETERS, exit_status=4)
    if _service(world, name):
        return Reply(f"{name} is already a network service.\n" + _BAD_PARAMETERS, exit_status=4)
    if device in (stored_bridge(world.dir) or []):
        # A port that the stored bridge still claims cannot get a service of its own: kSCStatusFailed.
        return Reply("** Error: Unable to commit changes to network database.\n", exit_status=14)
    world.state.services.append(NetworkService(name=name, hardware_port=hardware_port, device=device))
    return Reply()


def _set_address(world: World, name: str, address: str | None, mask: str | None, router: str | None = None) -> Reply:
    service = _service(world, name)
    if service is None:
        return _unknown(name)
    try:
        for each in (address, mask, router):
            IPv4Address(each or "0.0.0.0")
    except AddressValueError:
        return Reply(f"{address} is not a valid IP address.\n" + _BAD_PARAMETERS, exit_status=4)
    service.address, service.mask, service.router = address, mask, router
    return Reply()


def _service(world: World, name: str) -> NetworkService | None:
    return next((service for service in world.state.services if service.name == name), None)


def _unknown(name: str) -> Reply:
    return Reply(f"{name} is not a recognized network service.\n" + _BAD_PARAMETERS, exit_status=4)
