import pytest

from macfleet.inventory import hardware
from macfleet.lab.cables import Cable, Plug, cabling, load_cables, mesh, ring, save_cables


def test_four_macs_are_meshed_as_apple_draws_it():
    """TN3205 for four: 1.en2-2.en2, 1.en3-3.en2, 1.en4-4.en2, 2.en3-3.en3, 2.en4-4.en3, 3.en4-4.en4."""
    cables = [str(cable) for cable in mesh("abcd")]

    assert cables == [
        "a Thunderbolt 1 ↔ b Thunderbolt 1",
        "a Thunderbolt 2 ↔ c Thunderbolt 1",
        "a Thunderbolt 3 ↔ d Thunderbolt 1",
        "b Thunderbolt 2 ↔ c Thunderbolt 2",
        "b Thunderbolt 3 ↔ d Thunderbolt 2",
        "c Thunderbolt 3 ↔ d Thunderbolt 3",
    ]


@pytest.mark.parametrize(("count", "cables"), [(1, 0), (2, 1), (3, 3), (5, 5)])
def test_a_ring_is_closed_and_uses_two_ports_of_each(count, cables):
    plugs = [plug for cable in ring("abcde"[:count]) for plug in cable.ends]

    assert len(ring("abcde"[:count])) == cables
    assert len(set(plugs)) == len(plugs), "no port twice"
    assert all(plug.receptacle <= 2 for plug in plugs)


@pytest.mark.parametrize(
    ("kind", "count", "topology"),
    [("mac-mini-m4-pro", 4, "mesh"), ("mac-mini-m4-pro", 5, "ring"), ("mac-studio-m3-ultra", 7, "mesh"), ("virtual-mac", 2, "none")],
)
def test_macs_are_meshed_as_far_as_their_ports_reach(kind, count, topology):
    assert cabling(hardware.find(kind), [f"mac-{number}" for number in range(count)])[0] == topology


def test_a_cable_has_another_end_only_for_its_own_plugs():
    here, there = Plug(mac="a", receptacle=1), Plug(mac="b", receptacle=2)
    cable = Cable(ends=(here, there))

    assert (cable.other_end(here), cable.other_end(there), cable.other_end(Plug(mac="a", receptacle=2))) == (there, here, None)


def test_cables_are_the_same_after_they_were_kept(tmp_path):
    cables = (*mesh("ab"), Cable(ends=(Plug(mac="a", receptacle=2), Plug(mac="b", receptacle=2)), speed_gb_s=40, is_in=False))

    save_cables(cables, tmp_path / "cables.json")

    assert load_cables(tmp_path / "cables.json") == cables
