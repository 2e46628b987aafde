"""What a year leaves on a Mac: starts, panics, heat, a UPS, jobs that loop, Spotlight and Time Machine, the firewall's rules.

Only `last` and `launchctl print` are recordings. The other outputs are reconstructed: pmset's from its source, the rest as
public reports quote them.
"""

import plistlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from macfleet.core.fact import Unknown
from macfleet.core.paths import MacPaths
from macfleet.macos import date, jobs, last, launch_agents, launchctl, mdutil, notifyutil, panics, pmset, socketfilterfw, tmutil, ups
from macfleet.macos.last import Start
from tests.macos.recordings import answer, recorded

PATHS = MacPaths()
LAST = "ops/last_reboot.macos.2026-08-24.partial.txt"
RUNNING = recorded("ops/launchctl_print_system.running.txt")
CEST = timezone(timedelta(hours=2))


def test_a_start_without_a_shutdown_before_it_was_no_clean_one():
    starts = answer(last.STARTS, recorded(LAST))

    assert starts == (
        Start("Mon Aug 24 08:17", is_clean=False),
        Start("Mon Aug 24 07:40", is_clean=False),
        Start("Sun Aug 23 21:35", is_clean=False),
        Start("Thu Aug 13 11:14", is_clean=True),
    )


def test_what_lies_before_the_record_says_nothing_about_its_first_start():
    assert answer(last.STARTS, "reboot time                                Thu Aug 13 11:14\n\nwtmp begins Thu Aug 13 11:14\n") == (
        Start("Thu Aug 13 11:14", is_clean=None),
    )


@pytest.mark.parametrize(
    "said", ["", "reboot   system boot  6.8.0-31 Mon Aug 24 08:17   still running\n", "reboot time   Mon Foo 24 08:17\n"]
)
def test_another_last_is_unknown(said):
    assert isinstance(answer(last.STARTS, said), Unknown)


@pytest.mark.parametrize(
    ("at", "year"), [("Mon Aug 24 08:17", 2026), ("Sun Aug 24 08:17", 2025), ("Fri Nov 20 23:00", 2020), ("Thu Feb 29 08:00", 2024)]
)
def test_the_day_of_the_week_tells_the_year(at, year):
    now = datetime(2026, 11, 20, 9, 27, tzinfo=CEST)

    assert last.when(at, now).year == year


def test_a_day_that_never_was_is_no_moment():
    assert last.when("Sun Feb 30 08:00", datetime(2026, 11, 20, tzinfo=UTC)) is None


def test_the_clock_has_its_offset():
    assert answer(date.CLOCK, "2026-11-20T09:27:03+0100\n") == datetime(2026, 11, 20, 8, 27, 3, tzinfo=UTC)
    assert isinstance(answer(date.CLOCK, "Fri Nov 20 09:27:03 CET 2026\n"), Unknown)


LISTED = (
    "/Library/Logs/DiagnosticReports/panic-full-2026-08-18-092125.0002.panic\n"
    "/Library/Logs/DiagnosticReports/panic-base-2025-12-01-010203.panic\n"
)
# As public tests and issues quote reports: one line of JSON, in which quotes and line ends are escaped.
CAUSES = (
    "/Library/Logs/DiagnosticReports/panic-full-2026-08-18-092125.0002.panic:"
    r"panic(cpu 9 caller 0xfffffe0030d1f3a4): \"completeMemory() prepare count underflow\" @IOGPUMemory.cpp:550\nDebugger message: panic"
    "\n"
)


def test_panic_reports_come_in_the_order_of_their_times_with_their_cause():
    older, newer = answer(panics.panics(PATHS), LISTED, (1, CAUSES))

    assert (older.name, older.time, older.cause) == ("panic-base-2025-12-01-010203.panic", "2025-12-01 01:02:03", "")
    assert (newer.time, newer.cause) == ("2026-08-18 09:21:25", "completeMemory() prepare count underflow @IOGPUMemory.cpp:550")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "panic(cpu 3): watchdog timeout: no checkins from watchdogd in 94 seconds\\nCompressor",
            "watchdog timeout: no checkins from watchdogd in 94 seconds",
        ),
        ('panic(cpu 2 caller 0x1): Kernel data abort. at pc 0xf","product":"Mac17,5"', "Kernel data abort. at pc 0xf"),
        ("panic(cpu 0 caller 0x1): ", ""),
    ],
)
def test_the_cause_of_a_panic_is_its_first_line(said, cause):
    assert panics.parse_causes(f"/a/x.panic:{said}\n") == {"x.panic": cause}


NO_DIRECTORY = (1, "", "find: /Library/Logs/DiagnosticReports: No such file or directory")


@pytest.mark.parametrize(("said", "known"), [("", True), (NO_DIRECTORY, True), ((1, "", "find: Permission denied"), False)])
def test_no_reports_and_no_permission_are_two_things(said, known):
    found = answer(panics.panics(PATHS), said, (1, ""))

    assert found == () if known else isinstance(found, Unknown)


def test_thermal_pressure_without_root():
    assert answer(notifyutil.THERMAL, "com.apple.system.thermalpressurelevel 2\n") is notifyutil.ThermalPressure.HEAVY
    assert isinstance(answer(notifyutil.THERMAL, "com.apple.system.thermalpressurelevel 9\n"), Unknown)


@pytest.mark.parametrize(
    ("said", "sources"),
    [
        (recorded("ops/pmset_g_batt.desktop.txt"), ups.Sources("AC Power")),
        (
            "Now drawing from 'UPS Power'\n -UPS-1500VA (id=1234567)\t87%; discharging; 0:45 remaining present: true\n",
            ups.Sources("UPS Power", "UPS-1500VA", 87),
        ),
        (
            "Now drawing from 'AC Power'\n -InternalBattery-0 (id=1)\t80%; charged; 0:00 remaining present: true\n"
            " -Back-UPS ES 700 (id=2)\t100%; charged; 0:00 remaining present: true\n",
            ups.Sources("AC Power", "Back-UPS ES 700", 100),
        ),
    ],
)
def test_where_the_power_comes_from(said, sources):
    assert answer(ups.SOURCES, said) == sources


def test_only_thresholds_that_are_on_shut_a_mac_down():
    said = "UPS settings:\n  haltlevel\ton\t20\n  haltafter\toff\t0\n  haltremain\ton\t5\n"

    assert answer(ups.UPS, said) == {"haltlevel": 20, "haltremain": 5}
    assert answer(ups.UPS, "") == {}
    assert isinstance(answer(ups.UPS, "UPS settings:\n  haltlevel\ton\n"), Unknown)


def test_a_ups_has_power_settings_of_its_own():
    settings = pmset.parse_custom("UPS Power:\n sleep                10\n womp                 0\nAC Power:\n sleep                0\n")

    assert (settings.ac["sleep"], settings.ups["sleep"]) == ("0", "10")


@pytest.mark.parametrize(
    ("row", "pended"),
    [
        ("\tpended nondemand spawn = inefficient\n", "inefficient"),
        ("\tpended nondemand spawn = speculative\n", "speculative"),
        ("\tpended nondemand spawn = false\n", None),
        ("", None),
    ],
)
def test_a_job_that_launchd_holds_back_says_why(row, pended):
    job = launchctl.parse_print(f"system/x = {{\n\tstate = not running\n\truns = 0\n{row}}}\n")

    assert (job.pended, job.is_running) == (pended, False)


def test_a_job_that_is_kept_alive_says_so_among_its_properties():
    assert launchctl.parse_print(RUNNING).keeps_alive
    assert not launchctl.parse_print(
        "system/x = {\n\tstate = running\n\tpid = 7\n\tproperties = runatload | inferred program\n}\n"
    ).keeps_alive


def test_all_jobs_of_macfleet_are_one_question():
    said = RUNNING + RUNNING.replace("org.nixos.nix-daemon", "dev.macfleet.chat.worker")

    found = answer(jobs.jobs(PATHS), (0, said, 'Bad request.\nCould not find service "dev.macfleet.agent" in domain for system\n'))

    assert {label: job and job.state for label, job in found.items()} == {
        "dev.macfleet.agent": None,
        "org.nixos.nix-daemon": "running",
        "dev.macfleet.chat.worker": "running",
    }


@pytest.mark.parametrize("said", ["junk\n" + RUNNING, RUNNING[:400], RUNNING + RUNNING[:400], (71, "", "find: too many open files")])
def test_half_the_jobs_are_unknown(said):
    assert isinstance(answer(jobs.jobs(PATHS), said), Unknown)


def test_no_plist_is_no_job():
    assert answer(jobs.jobs(PATHS), "") == {}


@pytest.mark.parametrize(
    ("said", "is_indexed"),
    [("/:\n\tIndexing enabled. \n", True), ("/:\n\tIndexing disabled.\n", False), ("/:\n\tIndexing and searching disabled.\n", False)],
)
def test_spotlight(said, is_indexed):
    assert answer(mdutil.INDEXING, said) is is_indexed


@pytest.mark.parametrize("said", ["/System/Volumes/Data:\n\tError: unknown indexing state.\n", "", "/:\n\tIndexing en"])
def test_an_indexing_state_that_macos_does_not_know_is_unknown(said):
    assert isinstance(answer(mdutil.INDEXING, said), Unknown)


DESTINATION = "====================================================\nName          : Tower\nKind          : Local\nID            : 1\n"


@pytest.mark.parametrize(
    ("said", "names"),
    [("tmutil: No destinations configured.\n", ()), ((1, "", "tmutil: No destinations configured."), ()), (DESTINATION, ("Tower",))],
)
def test_where_time_machine_copies_to(said, names):
    assert answer(tmutil.DESTINATIONS, said) == names


def test_a_time_machine_without_full_disk_access_is_unknown():
    assert isinstance(answer(tmutil.DESTINATIONS, (80, "", recorded("ops/tmutil_latestbackup.no_fda.txt"))), Unknown)


@pytest.mark.parametrize(
    ("said", "is_excluded"),
    [
        ("[Excluded]    /opt/macfleet/models\n", True),
        ("[Included]    /opt/macfleet/models\n", False),
        ((1, "", "No such file or directory"), False),
    ],
)
def test_whether_time_machine_copies_the_models(said, is_excluded):
    assert answer(tmutil.excludes_models(PATHS), said) is is_excluded


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("Incoming connection to /opt/homebrew/Cellar/mosh/1.4.0_43/bin/mosh-server is permitted.\n", True),
        ("Incoming connection to /Users/dev/blocked/bin/python is permitted \n", True),
        ("Incoming connection to /opt/x is blocked \n", False),
        ("The application is not part of the firewall \n", None),
    ],
)
def test_the_rule_of_the_firewall_is_its_last_word(said, rule):
    assert answer(socketfilterfw.rule("/x"), said) is rule


def test_a_firewall_that_says_neither_is_unknown():
    assert isinstance(answer(socketfilterfw.rule("/x"), "usage: socketfilterfw\n"), Unknown)


def test_agents_are_found_although_find_ends_with_1():
    said = (1, "/Library/LaunchAgents/me.worker.plist\n", "find: Library/LaunchAgents: No such file or directory")

    assert answer(launch_agents.agents(PATHS), said) == ("/Library/LaunchAgents/me.worker.plist",)
    assert answer(launch_agents.agents(PATHS), (1, "")) == ()


def test_networks_that_everybody_may_reach():
    text = plistlib.dumps({"AllowedEthernetLocalNetworkAddresses": ["10.0.0.0/24"], "Other": 1}).decode()

    assert answer(launch_agents.EXEMPTIONS, text) == ("10.0.0.0/24",)
    assert answer(launch_agents.EXEMPTIONS, (1, "", "Domain com.apple.network.local-network does not exist")) == ()
    assert isinstance(answer(launch_agents.EXEMPTIONS, (1, "", "sudo: a password is required")), Unknown)
