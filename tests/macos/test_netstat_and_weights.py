"""netstat's routes, and the manifests of staged weights."""

import json

import pytest

from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.core.paths import MacPaths
from macfleet.macos import ifconfig, netstat
from macfleet.macos.weights import Held, held, parse_manifests
from tests.macos.recordings import answer, recorded

SHARED = recorded("thunderbolt/netstat_rn_inet.studio_default_via_tb_port.sanitised.txt")


def test_a_mac_whose_neighbour_shares_its_internet_has_a_second_default_route_over_the_cable():
    defaults = [route for route in netstat.parse_routes(SHARED) if route.is_default]

    assert [(route.gateway, route.interface, route.is_second) for route in defaults] == [
        ("192.0.2.1", "en1", False),
        ("198.51.100.1", "en7", True),
        ("link#33", "utun4", True),
    ]


@pytest.mark.parametrize(
    "text", ["", "Internet:\n", SHARED.partition("100.64/10")[0], SHARED.replace("Flags ", "Flaggen "), "Internet6:\n"]
)
def test_a_table_that_is_cut_or_unlike_is_refused(text):
    with pytest.raises(Unparsable):
        netstat.parse_routes(text)


@pytest.mark.parametrize(
    ("bridge", "is_sharing"), [("bridge0", False), ("bridge1", False), ("bridge100", True), ("bridge101", True), ("en100", False)]
)
def test_bridges_from_100_on_are_those_of_internet_sharing(bridge, is_sharing):
    assert ifconfig.is_sharing(bridge) is is_sharing


MANIFEST = {"schema": 1, "model": "m", "first_layer": 0, "last_layer": 2, "layers": 4, "files": [{"name": "x", "sha256": "a" * 64}]}
HELD = held(MacPaths("/"))


def test_each_manifest_is_a_model():
    two = json.dumps(MANIFEST) + "\n" + json.dumps({**MANIFEST, "model": "n", "files": []}, indent=1)

    assert parse_manifests(two) == (Held("m", 4, {"x": "a" * 64}), Held("n", 4, {}))
    assert parse_manifests("") == ()


@pytest.mark.parametrize("text", ["{", "[]", json.dumps(MANIFEST)[:-3], json.dumps({**MANIFEST, "schema": 2}), json.dumps({"model": "m"})])
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(Unparsable):
        parse_manifests(text)


def test_a_mac_on_which_nothing_was_ever_staged_holds_nothing():
    assert answer(HELD, (1, "", "find: /opt/macfleet/models: No such file or directory")) == ()
    assert isinstance(answer(HELD, (1, "", "find: /opt/macfleet/models: Permission denied")), Unknown)
