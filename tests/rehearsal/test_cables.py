"""`macfleet cables` over SSH: three Macs as they are plugged in, one cable slow and one out, drawn, told and planned."""

from xml.etree import ElementTree

import pytest

from tests.rehearsal.stage import rehearsal

pytestmark = pytest.mark.rehearsal

SLOW = "studio-1 Thunderbolt 2 ↔ studio-3 Thunderbolt 1"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with rehearsal(tmp_path_factory.mktemp("fleet"), "--macs", "3") as made:
        made.must("lab", "fault", "tb4-cable", "studio-1:2")
        made.must("lab", "fault", "cable-out", "studio-2:2")
        yield made


def test_the_drawing_shows_both_ends_of_every_cable_and_what_is_wrong(stage):
    ended = stage.must("cables")

    assert "80 Gb/s  no RDMA  studio-2 Thunderbolt 1" in ended.stdout  # the ports of new Macs are in a bridge
    assert f"{SLOW}: no RDMA, it runs at 40 Gb/s (see cabling)" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "2 cables, 0 carry RDMA, 1 is missing"


def test_the_picture_is_a_file_that_a_browser_opens(stage, tmp_path):
    stage.must("cables", "--svg", str(tmp_path / "cables.svg"))

    assert ElementTree.parse(tmp_path / "cables.svg").getroot().tag.endswith("svg")


def test_a_mesh_is_planned_around_what_is_there(stage):
    plan = stage.must("cables", "--plan", "mesh", "--json").json

    assert plan["summary"] == {"cables": 3, "keep": 1, "unplug": 0, "replace": 1, "plug": 1}
    assert plan["replace"][0]["a"] == {"mac": "studio-1", "port": 2}


def test_what_somebody_plugged_elsewhere_is_named_and_planned_where_it_is(stage):
    stage.must("lab", "heal")
    stage.must("lab", "fault", "cable-moved", "studio-2:1")

    named = stage.type("verify", "--json").json["fleet"]

    moved = "the cable `studio-1:1 studio-2:1` of the inventory is now studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 3"
    assert [finding["have"] for finding in named if finding["check"] == "cabling"] == [moved]
    assert stage.must("cables", "--plan", "mesh", "--json").json["summary"]["keep"] == 3


def test_of_a_mac_that_is_down_the_drawing_says_so_and_no_plan_is_made(stage):
    stage.must("lab", "fault", "mac-down", "studio-3")

    drawn, planned = stage.type("cables"), stage.type("cables", "--plan", "mesh")

    assert (drawn.exit_code, planned.exit_code) == (3, 3)
    assert "not read" in drawn.stdout
    assert "error: studio-3" in drawn.stderr
    assert "`--offline` plans by the inventory alone" in planned.stderr
