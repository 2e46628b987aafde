"""`netstat -rn -f inet`: the routes that follow from the addresses in force."""

from __future__ import annotations

from ipaddress import IPv4Network

from macfleet.lab.commands.ifconfig import ipv4_of, lan_address, sharer_of
from macfleet.lab.world import Call, Reply, World, failed

_HEADER = "Routing tables\n\nInternet:\nDestination        Gateway            Flags               Netif Expire\n"


def netstat(world: World, call: Call) -> Reply:
    """Layout of tests/fixtures/thunderbolt/netstat_rn_inet.*.txt: default routes first, those of further interfaces scoped (I)."""
    if call.arguments != ("-rn", "-f", "inet"):
        return failed("netstat: a rehearsal Mac shows only its routes: -rn -f inet")
    lan = world.lan_devices()[0][1]
    gateway = IPv4Network(f"{lan_address(world)}/24", strict=False)
    rows = [("default", str(gateway.network_address + 254), "UGScg", lan)]
    leased = [port.interface for port in world.state.ports if sharer_of(world, port) is not None]
    rows += [("default", "192.168.2.1", "UGScIg", interface) for interface in leased if ipv4_of(world, interface)]
    rows += [("127", "127.0.0.1", "UCS", "lo0"), (str(gateway).removesuffix(".0/24"), "link#14", "UCS", lan)]
    for index, port in enumerate(world.state.ports):
        address = ipv4_of(world, port.interface)
        if address:
            rows.append((str(IPv4Network("/".join(address), strict=False)), f"link#{15 + index}", "UCS", port.interface))
    rows.append(("224.0.0/4", "link#14", "UmCS", lan))
    return Reply(_HEADER + "".join(f"{row[0]:<18} {row[1]:<18} {row[2]:<19} {row[3]:<8}\n" for row in rows))
