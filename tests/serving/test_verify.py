"""One reading, every check; and of Macs that do not answer only that they do not."""

from macfleet.serving.verify import verify
from tests.serving.small_mac import SmallFleet


def test_of_a_fleet_that_does_not_answer_there_is_one_thing_to_say(tmp_path):
    fleet = SmallFleet(tmp_path, "studio-1", "studio-2")
    for mac in fleet.small.values():
        mac.is_up = False

    nobody = verify(fleet)

    assert [finding.check for finding in nobody.findings()] == ["reachable", "reachable"]
    assert nobody.exit_code == 3


def test_one_mac_that_answers_makes_it_a_fleet_to_judge(tmp_path):
    fleet = SmallFleet(tmp_path, "studio-1", "studio-2")
    fleet.small["studio-2"].is_up = False

    one = verify(fleet)

    assert "same-build" in [finding.check for finding in one.fleet]
    assert one.exit_code == 3
