"""A simulated Mac's port: its own from the making of the fleet to its end."""

import asyncio
import socket

import pytest

from macfleet.inventory import hardware
from macfleet.lab.inventory_text import render_inventory
from macfleet.lab.network import ADDRESS, PORTS, Door, choose_ports, hold
from macfleet.lab.remote import LabError
from macfleet.lab.state import load_state
from macfleet.lab.up import up
from tests.lab.simulated import make_macs


@pytest.fixture
def door():
    """A door on a port of its own."""
    door = Door(choose_ports(1)[0])
    yield door
    door.close()
    door._socket.close()


async def listen(sock):
    """The least that a server is; the kernel takes the connections."""
    sock.listen()
    return sock


def somebody_else_takes(port):
    """As most servers do it."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((ADDRESS, port))
        other.listen()


def is_answered(port):
    try:
        socket.create_connection((ADDRESS, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_new_door_is_closed_and_its_port_is_nobody_elses(door):
    assert not is_answered(door.port)
    with pytest.raises(OSError, match="in use"):
        somebody_else_takes(door.port)


def test_a_door_opens_and_closes_and_keeps_its_port(door):
    for _ in range(3):
        asyncio.run(door.open(listen))
        assert is_answered(door.port)

        door.close()

        assert not is_answered(door.port)
        with pytest.raises(OSError, match="in use"):
            somebody_else_takes(door.port)


def test_a_door_opens_again_over_the_connections_of_the_life_before(door):
    asyncio.run(door.open(listen))
    with socket.create_connection((ADDRESS, door.port)) as theirs:
        ours, _ = door._socket.accept()
        ours.close()  # the side that closes first keeps the port busy for a minute
        assert theirs.recv(1) == b""

    asyncio.run(door.open(listen))

    assert is_answered(door.port)


def test_a_frozen_door_takes_connections(door):
    door.freeze()

    assert is_answered(door.port)


def test_a_fleets_ports_are_in_a_row_and_never_given_to_outgoing_connections(tmp_path):
    ports = [world.state.ssh_port for world in make_macs(tmp_path, "studio-1", "studio-2", "studio-3")]

    assert ports == list(range(ports[0], ports[0] + 3))
    assert set(ports) <= set(PORTS)
    assert PORTS.stop <= 32768  # where Linux's begin


def test_the_gateways_ports_follow_and_are_the_same_whenever_the_inventory_is_written(tmp_path):
    worlds = make_macs(tmp_path, "studio-1", "studio-2")
    last = worlds[-1].state.ssh_port
    kind = hardware.find("mac-studio-m3-ultra")

    texts = {render_inventory(worlds[0].dir.lab, [world.state for world in worlds], kind, "mesh") for _ in range(2)}

    (text,) = texts
    assert f"gateway: {{port: {last + 1}, control_port: {last + 2}}}" in text


def test_ports_that_are_used_are_not_chosen():
    ports = choose_ports(20)

    with hold(ports[10]):
        others = [choose_ports(20) for _ in range(50)]

    assert not any(ports[10] in other for other in others)


def test_a_port_that_somebody_took_is_said_with_its_mac_before_any_mac_is_started(tmp_path):
    worlds = make_macs(tmp_path / "lab", "studio-1", "studio-2")
    port = worlds[1].state.ssh_port

    with hold(port), pytest.raises(LabError) as caught:
        up(tmp_path / "lab", macs=2)

    assert caught.value.what == f"studio-2 cannot start: its port {port} is used by another program (Address already in use)"
    assert f"lsof -nP -iTCP:{port}" in caught.value.hint
    assert f"--dir {tmp_path / 'lab'}" in caught.value.hint
    assert [load_state(world.dir.state).simulator_pid for world in worlds] == [0, 0]
