"""`ibv_devices` and `ibv_devinfo`: the RDMA devices of the Thunderbolt ports."""

from __future__ import annotations

import asyncio

from macfleet.lab.commands.ifconfig import ipv4_of, link_local_ipv6
from macfleet.lab.state import ThunderboltPort
from macfleet.lab.world import Call, Reply, World, failed

_HEADER = "    device          \t   node GUID\n    ------          \t----------------\n"


def ibv_devices(world: World, call: Call) -> Reply:
    """In no order that means anything (port 4 before port 3): see tests/fixtures/thunderbolt/ibv_devices.m3ultra.mlx_docs.txt."""
    return Reply(_HEADER + "".join(f"    {'rdma_' + port.interface:16}\t{_guid(port)}\n" for port in _devices(world)))


async def ibv_devinfo(world: World, call: Call) -> Reply:
    """Blocks as on macOS 27, with what `-v` adds in TN3205: see tests/fixtures/thunderbolt/ibv_devinfo*.txt.

    On a wedged driver it never ends.
    """
    while world.state.has_fault("rdma-wedged"):
        await asyncio.sleep(0.1)
    wanted = call.arguments[call.arguments.index("-d") + 1] if "-d" in call.arguments[:-1] else None
    ports = [port for port in _devices(world) if wanted in (None, f"rdma_{port.interface}")]
    if not ports:
        return failed("No IB devices found")
    return Reply("\n".join(_block(world, port, "-v" in call.arguments) for port in ports))


def _devices(world: World) -> list[ThunderboltPort]:
    if not world.state.has_rdma:
        return []
    ports = list(world.state.ports)
    if len(ports) > 3:
        ports[2], ports[3] = ports[3], ports[2]
    return ports


def _block(world: World, port: ThunderboltPort, verbose: bool) -> str:
    link = world.link(port)
    is_stuck = port.receptacle in world.state.rdma_ports_down
    is_active = link is not None and link.carries_rdma(world.state) and not is_stuck
    is_active = is_active and not (link and link.peer_port.receptacle in link.peer.rdma_ports_down)
    guid = _guid(port)
    rows = [
        f"hca_id:\trdma_{port.interface}",
        "\ttransport:\t\t\tThunderbolt (100)",
        "\tnode_guid:\t\t\t" + ":".join(guid[at : at + 4] for at in range(0, 16, 4)),
        "\tsys_image_guid:\t\t\t0000:0000:0000:0001",
        "\tvendor_id:\t\t\t0x0000",
        "\tvendor_part_id:\t\t\t0",
        "\thw_ver:\t\t\t\t0x0",
        "\tphys_port_cnt:\t\t\t1",
        *(["\tmax_qp:\t\t\t\t11", "\tmax_pd:\t\t\t\t11", "\tmax_cq:\t\t\t\t11", "\tmax_mr:\t\t\t\t100"] if verbose else []),
        "\t\tport:\t1",
        f"\t\t\tstate:\t\t\t{'PORT_ACTIVE (4)' if is_active else 'PORT_DOWN (1)'}",
        "\t\t\tmax_mtu:\t\t4096 (5)",
        "\t\t\tactive_mtu:\t\t4096 (5)",
        "\t\t\tsm_lid:\t\t\t1",
        "\t\t\tport_lid:\t\t1",
        "\t\t\tport_lmc:\t\t0x00",
        "\t\t\tlink_layer:\t\tThunderbolt",
        *(_verbose_rows(world, port) if verbose else []),
    ]
    return "\n".join(rows) + "\n"


def _verbose_rows(world: World, port: ThunderboltPort) -> list[str]:
    """A port that is down still says 8X x 10 Gbps. GID 1 is the interface's IPv4 address, if it has one."""
    address = ipv4_of(world, port.interface)
    gids = [link_local_ipv6(port.ethernet), *([f"::ffff:{address[0]}"] if address else []), link_local_ipv6(port.ethernet[::-1])]
    widths = ["\t\t\tactive_width:\t\t8X (4)", "\t\t\tactive_speed:\t\t10.0 Gbps (4)"]
    return widths + [f"\t\t\tGID[{index:3}]:\t\t{gid}" for index, gid in enumerate(gids)]


def _guid(port: ThunderboltPort) -> str:
    return f"{port.receptacle + 127:x}" + port.ethernet.replace(":", "")[2:] + "ac05"
