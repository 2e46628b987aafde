"""Bonjour, asked and answered for real on loopback."""

import socket

import pytest
from zeroconf import IPVersion, ServiceInfo, Zeroconf

from macfleet.fleet.bonjour import DEVICE, SSH, Sighting, best_address, browse

LOOPBACK = ["127.0.0.1"]


@pytest.fixture
def announce():
    """Announces an SSH server, and what the machine is if it says so."""
    zeroconf = Zeroconf(interfaces=LOOPBACK, ip_version=IPVersion.V4Only)

    def one(name, port, model=None):
        here = [socket.inet_aton("127.0.0.1")]
        server = f"{name.replace(' ', '-')}.local."
        zeroconf.register_service(ServiceInfo(SSH, f"{name}.{SSH}", port=port, addresses=here, server=server), cooperating_responders=True)
        if model:
            device = ServiceInfo(DEVICE, f"{name}.{DEVICE}", port=0, addresses=here, properties={"model": model})
            zeroconf.register_service(device, cooperating_responders=True)

    yield one
    zeroconf.close()


@pytest.mark.rehearsal
def test_announced_macs_are_found_with_what_they_say_they_are(announce):
    announce("Mac Studio", 22, "Mac15,14")
    announce("nas", 2222)

    found = browse(2.5, LOOPBACK)  # what was announced a moment ago is not said again within a second

    assert found == (Sighting("Mac Studio", "127.0.0.1", 22, "Mac15,14"), Sighting("nas", "127.0.0.1", 2222))


@pytest.mark.parametrize(("model", "may_be"), [("Mac15,14", True), (None, True), ("VirtualMac2,1", True), ("RackStation", False)])
def test_what_says_that_it_is_something_else_is_no_mac(model, may_be):
    assert Sighting("x", "10.0.0.1", 22, model).may_be_a_mac is may_be


@pytest.mark.parametrize(
    ("addresses", "best"),
    [
        (["169.254.17.3", "10.0.0.4", "fe80::1"], "10.0.0.4"),
        (["169.254.17.3"], "169.254.17.3"),
        (["127.0.0.1", "169.254.17.3"], "169.254.17.3"),
        (["fe80::1"], None),
        ([], None),
    ],
)
def test_the_address_of_a_thunderbolt_port_is_the_last_choice(addresses, best):
    assert best_address(addresses) == best
