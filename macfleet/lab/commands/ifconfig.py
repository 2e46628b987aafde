"""`ifconfig`: the interfaces as the kernel has them now."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Network

from macfleet.lab.factory import ethernet_address
from macfleet.lab.preferences import BRIDGE
from macfleet.lab.state import ThunderboltPort
from macfleet.lab.world import Call, Reply, World, failed

SHARING = "bridge100"
_LOOPBACK = """\
lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384
\toptions=1203<RXCSUM,TXCSUM,TXSTATUS,SW_TIMESTAMP>
\tinet 127.0.0.1 netmask 0xff000000
\tinet6 ::1 prefixlen 128
\tnd6 options=201<PERFORMNUD,DAD>
"""


def ifconfig(world: World, call: Call) -> Reply:
    names = ["lo0", *(device for _, device in world.lan_devices()), *(port.interface for port in world.state.ports)]
    names += [BRIDGE] if world.kernel.has_bridge else []
    names += [SHARING] if world.state.shares_internet_on is not None else []
    match call.arguments:
        case () | ("-a",):
            return Reply("".join(_show(world, name) for name in names))
        case (name,) if name in names:
            return Reply(_show(world, name))
        case (name, *_) if name not in names:
            return failed(f"ifconfig: interface {name} does not exist")
        case (name, *changes):
            return _change(world, name, changes, call.is_root)
    return failed("usage: ifconfig interface")


def sharer_of(world: World, port: ThunderboltPort) -> str | None:
    """The Mac at the other end of this port's cable when it shares its internet there, and answers who asks by DHCP."""
    link = world.link(port)
    shares = link is not None and link.peer.shares_internet_on == link.peer_port.receptacle
    service = next((each for each in world.state.services if each.device == port.interface and each.enabled), None)
    return link.peer.name if link and shares and service is not None and service.address is None else None


def lan_address(world: World) -> str:
    """Out of the block for documentation."""
    return f"192.0.2.{1 + hashlib.sha256(world.state.name.encode()).digest()[0] % 253}"


def ipv4_of(world: World, interface: str) -> tuple[str, str] | None:
    """Address and mask in force: none while the port is in a bridge or its cable leads nowhere."""
    port = world.port_of(interface)
    if port is not None and (interface in world.kernel.bridge_members or world.link(port) is None):
        return None
    if port is not None and port.receptacle == world.state.shares_internet_on:
        return None
    if port is not None and sharer_of(world, port):
        return f"192.168.2.{2 + port.receptacle}", "255.255.255.0"
    service = next((each for each in world.state.services if each.device == interface and each.enabled), None)
    if service is None:
        return None
    if service.address and service.mask:
        return service.address, service.mask
    return (_link_local(world, interface), "255.255.0.0") if port is not None else None


def link_local_ipv6(ethernet: str) -> str:
    words = hashlib.sha256(ethernet.encode()).hexdigest()
    return "fe80::" + ":".join(f"{int(words[at : at + 4], 16):x}" for at in range(0, 16, 4))


def _change(world: World, name: str, changes: list[str], is_root: bool) -> Reply:
    if not is_root:
        return failed(
            f"ifconfig: ioctl (SIOCSIFFLAGS): {name}: Operation not permitted" if len(changes) == 1 else "ifconfig: permission denied"
        )
    match changes:
        case ["deletem", member] if name == BRIDGE:
            if member not in world.kernel.bridge_members:
                return failed(f"ifconfig: BRDGDEL {member}: No such file or directory")
            world.kernel.bridge_members.remove(member)
            return Reply()
        case ["addm", member] if name == BRIDGE and world.port_of(member):
            if ipv4_of(world, member):
                return failed(f"ifconfig: BRDGADD {member}: Invalid argument")
            world.kernel.bridge_members = sorted({*world.kernel.bridge_members, member})
            return Reply()
        case ["destroy"] if name == BRIDGE:
            world.kernel.has_bridge, world.kernel.bridge_members = False, []
            return Reply()
        case ["down" | "up" as way] if name == BRIDGE:
            world.kernel.bridge_is_up = way == "up"
            return Reply()
    return failed(f"ifconfig: {' '.join(changes)}: a rehearsal Mac changes only its bridge")


def _show(world: World, name: str) -> str:
    port = world.port_of(name)
    if name == "lo0":
        return _LOOPBACK
    if name == BRIDGE:
        return _show_bridge(world)
    if name == SHARING:
        return _show_sharing(world)
    return _show_port(world, port) if port else _show_lan(world, name)


def _show_port(world: World, port: ThunderboltPort) -> str:
    is_bridged = port.interface in world.kernel.bridge_members
    flags = (
        "8963<UP,BROADCAST,SMART,RUNNING,PROMISC,SIMPLEX,MULTICAST>" if is_bridged else "8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST>"
    )
    is_active = world.link(port) is not None
    return (
        f"{port.interface}: flags={flags} mtu 1500\n"
        "\toptions=460<TSO4,TSO6,CHANNEL_IO>\n"
        f"\tether {port.ethernet}\n"
        + (
            ""
            if is_bridged or not is_active
            else f"\tinet6 {link_local_ipv6(port.ethernet)}%{port.interface} prefixlen 64 secured scopeid 0xb\n"
        )
        + _inet(ipv4_of(world, port.interface))
        + ("" if is_bridged else "\tnd6 options=201<PERFORMNUD,DAD>\n")
        + f"\tmedia: autoselect <full-duplex>\n\tstatus: {'active' if is_active else 'inactive'}\n"
    )


def _show_lan(world: World, device: str) -> str:
    """Only the first one has a cable: Ethernet where there is one."""
    is_wired = device == world.lan_devices()[0][1]
    address = (lan_address(world), "255.255.255.0") if is_wired else None
    medium = "100baseTX" if is_wired and world.state.has_fault("slow-link") else "10Gbase-T"
    return (
        f"{device}: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500\n"
        "\toptions=567<RXCSUM,TXCSUM,VLAN_MTU,TSO4,TSO6,AV,CHANNEL_IO>\n"
        f"\tether {ethernet_address(world.state.name, device)}\n"
        f"{_inet(address)}\tnd6 options=201<PERFORMNUD,DAD>\n"
        f"\tmedia: autoselect ({medium} <full-duplex>)\n\tstatus: {'active' if is_wired else 'inactive'}\n"
    )


def _show_bridge(world: World) -> str:
    """Layout of tests/fixtures/thunderbolt/ifconfig_bridge0.*.txt: members stay listed while the bridge is down."""
    kernel = world.kernel
    flags = "8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST>" if kernel.bridge_is_up else "8822<BROADCAST,SMART,SIMPLEX,MULTICAST>"
    is_active = kernel.bridge_is_up and any(world.link(port) for port in world.state.ports if port.interface in kernel.bridge_members)
    members = "".join(
        f"\tmember: {member} flags=3<LEARNING,DISCOVER>\n\t        ifmaxaddr 0 port {11 + index} priority 0 path cost 0\n"
        for index, member in enumerate(kernel.bridge_members)
    )
    return (
        f"{BRIDGE}: flags={flags} mtu 1500\n"
        "\toptions=63<RXCSUM,TXCSUM,TSO4,TSO6>\n"
        f"\tether {ethernet_address(world.state.name, BRIDGE)}\n"
        "\tConfiguration:\n"
        "\t\tid 0:0:0:0:0:0 priority 0 hellotime 0 fwddelay 0\n"
        "\t\tmaxage 0 holdcnt 0 proto stp maxaddr 100 timeout 1200\n"
        "\t\troot id 0:0:0:0:0:0 priority 0 ifcost 0 port 0\n"
        "\t\tipfilter disabled flags 0x0\n"
        f"{members}\tnd6 options=201<PERFORMNUD,DAD>\n\tmedia: autoselect\n\tstatus: {'active' if is_active else 'inactive'}\n"
    )


def _show_sharing(world: World) -> str:
    """Internet Sharing's own bridge, which configd leaves alone; reconstructed after bridge0."""
    members = [port.interface for port in world.state.ports if port.receptacle == world.state.shares_internet_on]
    shown = "".join(f"\tmember: {member} flags=3<LEARNING,DISCOVER>\n" for member in members)
    return (
        f"{SHARING}: flags=8a63<UP,BROADCAST,SMART,RUNNING,ALLMULTI,SIMPLEX,MULTICAST> mtu 1500\n"
        "\toptions=3<RXCSUM,TXCSUM>\n"
        f"\tether {ethernet_address(world.state.name, SHARING)}\n"
        "\tinet 192.168.2.1 netmask 0xffffff00 broadcast 192.168.2.255\n"
        f"{shown}\tmedia: autoselect\n\tstatus: active\n"
    )


def _inet(address: tuple[str, str] | None) -> str:
    if address is None:
        return ""
    network = IPv4Network(f"{address[0]}/{address[1]}", strict=False)
    return f"\tinet {address[0]} netmask 0x{int(network.netmask):08x} broadcast {network.broadcast_address}\n"


def _link_local(world: World, interface: str) -> str:
    digest = hashlib.sha256(f"{world.state.name}/{interface}".encode()).digest()
    return f"169.254.{1 + digest[0] % 254}.{1 + digest[1] % 254}"
