"""What the lab refuses before it does anything, and what it says then."""

import pytest

from macfleet.core.errors import RequestError
from macfleet.core.units import GIB
from macfleet.inventory import hardware
from macfleet.inventory.load import load_inventory
from macfleet.lab.cables import load_cables
from macfleet.lab.faults import FAULTS, FaultOptions, break_mac, find_fault
from macfleet.lab.inventory_text import render_inventory
from macfleet.lab.make import make_fleet
from macfleet.lab.paths import LabDir
from macfleet.lab.remote import LabError, ask
from macfleet.lab.state import load_state
from macfleet.lab.status import faults_of, status
from macfleet.lab.up import up
from tests.lab.simulated import make_macs


def refused(call, *arguments, **keys):
    with pytest.raises(RequestError) as caught:
        call(*arguments, **keys)
    return str(caught.value), caught.value.hint


def test_an_unknown_kind_of_mac_is_refused_with_the_near_name(tmp_path):
    what, hint = refused(up, tmp_path / "lab", hardware="mac-studio-m3-ulta")

    assert "is no Mac that macfleet knows" in what
    assert "mac-studio-m3-ultra" in hint
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize("count", [0, 33])
def test_a_fleet_of_none_or_of_very_many_is_refused(tmp_path, count):
    assert refused(up, tmp_path / "lab", macs=count)[0] == f"a rehearsal fleet has 1 to 32 Macs, not {count}"


@pytest.mark.parametrize(
    ("memory_gib", "said"),
    [
        ((128, 64, 64, 64, 36), "memory is named for 5 Macs, but there shall be 4"),
        ((128, 512), "no Mac Studio M4 Max (2025) comes with 512 GiB of memory"),
    ],
)
def test_memory_that_no_such_mac_has_is_refused(tmp_path, memory_gib, said):
    assert refused(up, tmp_path / "lab", hardware="mac-studio-m4-max", memory_gib=memory_gib)[0] == said
    assert not (tmp_path / "lab").exists()


def test_macs_of_unequal_memory_have_limits_of_their_own(tmp_path):
    lab, kind, names = LabDir(tmp_path), hardware.find("mac-studio-m4-max"), ("studio-1", "studio-2", "studio-3")
    make_fleet(lab, kind, names, (128, 64, 36))

    lab.inventory.write_text(render_inventory(lab, [load_state(lab.mac(name).state) for name in names], kind, "mesh"))

    macs = load_inventory(lab.inventory).macs
    assert [mac.memory_bytes // GIB for mac in macs] == [128, 64, 36]
    assert [mac.settings.wired_limit // GIB for mac in macs] == [112, 56, 31]


def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()

    assert "is not empty and holds no rehearsal fleet" in refused(up, tmp_path)[0]
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_fleet_in_the_same_directory_is_refused(tmp_path):
    make_macs(tmp_path, "studio-1", "studio-2")

    assert "already holds a rehearsal fleet of 2 Mac15,14" in refused(up, tmp_path, macs=4)[0]
    assert "already holds" in refused(up, tmp_path, macs=2, hardware="mac-mini-m4-pro")[0]


def test_status_of_nothing_names_the_command_that_makes_something(tmp_path):
    what, hint = refused(status, tmp_path)

    assert "there is no rehearsal fleet" in what
    assert "macfleet lab up" in hint


def test_a_stopped_fleet_has_a_status_too(tmp_path):
    make_macs(tmp_path, "studio-1", "studio-2")

    report = status(tmp_path)

    assert [mac["power"] for mac in report["macs"]] == ["stopped", "stopped"]
    assert report["summary"] == {"macs": 2, "running": 0, "processes": 0}


def test_an_unknown_fault_and_an_unknown_mac_are_refused_with_the_near_name(tmp_path):
    make_macs(tmp_path, "studio-1", "studio-2")

    assert refused(break_mac, tmp_path, "cable-in", "studio-1")[1] == 'did you mean "cable-out"?'
    assert refused(break_mac, tmp_path, "cable-out", "studio-3")[0] == 'the rehearsal fleet has no Mac "studio-3"'


def test_a_cable_that_is_not_there_cannot_be_taken_out(tmp_path):
    make_macs(tmp_path, "studio-1", "studio-2")

    what, hint = refused(break_mac, tmp_path, "cable-out", "studio-1", FaultOptions(port=4))

    assert (what, hint) == ("there is no cable in studio-1 Thunderbolt 4", "studio-1 has cables in port 1")


def test_a_cable_fault_counts_for_both_ends_and_is_healed_from_either(tmp_path):
    make_macs(tmp_path, "studio-1", "studio-2")
    one, two = LabDir(tmp_path).macs()

    break_mac(tmp_path, "cable-out", "studio-1")
    assert faults_of(one) == faults_of(two) == {"cable-out": "studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1"}

    find_fault("cable-out").heal(two)
    find_fault("tb4-cable").inject(two, FaultOptions())
    assert [cable.speed_gb_s for cable in load_cables(one.lab.cables)] == [40]

    find_fault("tb4-cable").heal(one)
    assert faults_of(one) == faults_of(two) == {}


def test_cables_that_never_were_are_put_in_by_healing(tmp_path):
    make_macs(tmp_path, "studio-1", "studio-2", "studio-3", as_shipped=True)
    assert load_cables(LabDir(tmp_path).cables) == ()
    assert faults_of(LabDir(tmp_path).mac("studio-2"))["cable-out"] == (
        "studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1 was never put in, studio-2 Thunderbolt 2 ↔ studio-3 Thunderbolt 2 was never put in"
    )

    find_fault("cable-out").heal(LabDir(tmp_path).mac("studio-1"))

    assert len(load_cables(LabDir(tmp_path).cables)) == 2


def test_a_mac_whose_process_is_gone_is_an_error_that_says_what_to_do(tmp_path):
    make_macs(tmp_path, "studio-1")

    with pytest.raises(LabError, match="the process of studio-1 does not answer") as caught:
        ask(LabDir(tmp_path).mac("studio-1"), "report")

    assert "macfleet lab up" in caught.value.hint


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_says_what_it_is(fault):
    assert fault.meaning
    assert not fault.meaning.endswith(".")
