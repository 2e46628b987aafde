"""softwareupdate, smartctl, macmon, powermetrics, socketfilterfw."""

import pytest

from macfleet.core.fact import Unknown
from macfleet.macos import macmon, powermetrics, smartctl, socketfilterfw, softwareupdate
from macfleet.macos.softwareupdate import Update
from tests.macos.recordings import answer, recorded

SSD = "ops/smartctl_x_j.apple_ap0512z.macos26.json"


def test_an_update_of_macos_has_a_build_and_restarts():
    (update,) = answer(softwareupdate.UPDATES, recorded("ops/softwareupdate_l.macos26.6.2.txt"))

    assert update == Update("macOS Tahoe 26.6.2-25G83", "macOS Tahoe 26.6.2", "26.6.2", 3833693, needs_restart=True)
    assert update.build == "25G83"


def test_command_line_tools_restart_nothing():
    tools, macos = answer(softwareupdate.UPDATES, recorded("ops/softwareupdate_l.clt_and_macos26.5.txt"))

    assert (tools.label, tools.build, tools.needs_restart) == ("Command Line Tools for Xcode 26.5-26.5", None, False)
    assert (macos.build, macos.needs_restart) == ("25F71", True)


def test_a_label_without_marketing_name_has_its_build_too():
    assert Update("macOS 27.0.1-26A434", "", "27.0.1", 1, True).build == "26A434"


def test_nothing_new_is_an_answer_on_either_stream():
    said = recorded("ops/softwareupdate_l.none.merged_streams.txt")

    assert answer(softwareupdate.UPDATES, said) == ()
    assert answer(softwareupdate.UPDATES, (0, "Software Update Tool\n\nFinding available software\n", "No new software available.\n")) == ()


@pytest.mark.parametrize(
    "said",
    [
        "Software Update Tool\n\nFinding available software\n",
        "Can’t connect to the Apple Software Update server, because of a network configuration problem.",
        "* Label: macOS Tahoe 26.6.2-25G83\n",
        (None, ""),
    ],
)
def test_a_search_that_did_not_end_is_unknown(said):
    assert isinstance(answer(softwareupdate.UPDATES, said), Unknown)


def test_the_wear_of_an_apple_ssd_which_exits_4_when_all_is_well():
    ssd = answer(smartctl.SSD, (4, recorded(SSD)))

    assert (ssd.model, ssd.is_passed, ssd.critical_warning, ssd.media_errors) == ("APPLE SSD AP0512Z", True, 0, 0)
    assert (ssd.used_percent, ssd.spare_percent) == (3, 100)
    assert ssd.written_bytes % 512_000 == 0


@pytest.mark.parametrize(("said", "value"), [((127, ""), None), ((2, "{}"), Unknown), ((0, "{}"), Unknown), ((0, ""), Unknown)])
def test_no_smartctl_is_an_answer_and_no_disk_is_not(said, value):
    found = answer(smartctl.SSD, said)

    assert found is None if value is None else isinstance(found, value)


@pytest.mark.parametrize(
    ("name", "system_w", "gpu_celsius"),
    [
        ("ops/macmon_pipe.v0_6_schema.jsonl", 10.4955415725708, 29.44516944885254),
        ("ops/macmon_pipe.loaded_with_cpu_usage_pct.jsonl", 35.68, 73.50),
    ],
)
def test_power_in_both_schemas_of_macmon(name, system_w, gpu_celsius):
    sample = answer(macmon.POWER, recorded(name))

    assert (sample.system_w, sample.gpu_celsius) == (system_w, gpu_celsius)
    assert 0 <= sample.gpu_ratio <= 1


@pytest.mark.parametrize("said", ["", "{}", '{"temp": {}, "gpu_usage": [1, 2]}', (2, "", 'Error: "Failed to get memory stats"')])
def test_a_macmon_that_fails_is_unknown(said):
    assert isinstance(answer(macmon.POWER, said), Unknown)


def test_a_mac_without_macmon_is_told_from_that():
    assert answer(macmon.POWER, (127, "")) is None


def test_thermal_pressure_is_one_word():
    assert answer(powermetrics.THERMAL_PRESSURE, recorded("ops/powermetrics_text.mac14_2_macos26.excerpt.txt")) == "Nominal"
    assert isinstance(answer(powermetrics.THERMAL_PRESSURE, "**** Thermal pressure ****\n"), Unknown)


def test_the_firewall_is_its_number():
    assert answer(socketfilterfw.STATE, recorded("ops/socketfilterfw.macos26.5.2.txt")) == 0
    assert answer(socketfilterfw.STATE, "Firewall is enabled. (State = 1)\n") == 1
    assert isinstance(answer(socketfilterfw.STATE, "Firewall is enabled."), Unknown)
