"""What a year does to a Mac, check by check: restarts and panics, the SSD, and what was seen before."""

import json

import pytest

from macfleet.checks.past import History, Look, Past, Sample, look, sample
from macfleet.checks.restarts import Restarts
from macfleet.checks.ssd import Ssd
from macfleet.macos import (
    date,
    last,
    smartctl,
    sysctl,
)
from macfleet.macos.panics import panics
from tests.checks.macs import CHECKS, SSD, Shelf, a_mac, judge

MAC = a_mac()


DAY_S = 86400.0
NOW = ("2026-11-20T09:27:03+0100\n",)


def starts(*rows):
    return ("".join(f"{row}\n" for row in rows) + "\nwtmp begins Thu Jan  1 00:00\n",)


CUT = "reboot time    Fri Nov 20 03:12"
ALSO_CUT = "reboot time    Fri Nov 20 03:12"  # within the same minute
SHUT = "shutdown time  Thu Nov 19 11:13"
CLEAN = "reboot time    Thu Nov 19 11:14"
OLD = "reboot time    Mon Aug 24 08:17"


def restarts(rows, reports=(), look_=None, causes=""):
    past = Past(0.0, {"studio-1": History(look_)}) if look_ else Past()
    said = "".join(f"/Library/Logs/DiagnosticReports/{name}\n" for name in reports)
    return judge(Restarts(past), MAC, {last.STARTS: starts(*rows), panics(MAC.paths): (said, causes), date.CLOCK: NOW})


def test_a_start_after_a_power_cut_is_told_with_its_time():
    finding = restarts([CUT, CLEAN, SHUT])

    assert (finding.verdict, finding.have) == ("warn", "1 start without a shutdown (Fri Nov 20 03:12) in the last 7 days")
    assert "power" in finding.hint


def test_who_looks_for_the_first_time_is_told_of_a_week():
    assert restarts([CLEAN, SHUT, OLD, "reboot time    Mon Aug 24 07:40"]).verdict == "ok"


def test_what_was_seen_at_the_last_look_is_not_told_again():
    seen = Look(1.0, starts=2, newest_start="Fri Nov 20 03:12", panics=("panic-full-2026-11-20-031100.0002.panic",))

    finding = restarts([CUT, CLEAN, SHUT], ["panic-full-2026-11-20-031100.0002.panic"], seen)

    assert (finding.verdict, finding.have) == ("ok", "none")


@pytest.mark.parametrize(
    ("rows", "seen", "verdict"),
    [
        ([CUT, ALSO_CUT, CLEAN, SHUT], Look(1.0, starts=2, newest_start="Fri Nov 20 03:12"), "warn"),  # told by how many there are
        ([CUT, CLEAN, SHUT], Look(1.0, starts=9, newest_start="Thu Nov 19 11:14"), "warn"),  # the record was cut to its newest rows
        ([CUT, CLEAN, SHUT], Look(1.0, starts=9, newest_start="Sun Feb  1 11:14"), "warn"),  # and begins behind the last look
        ([CUT, CLEAN, SHUT], Look(1.0), "ok"),  # the last look could not see the record: nothing is known to be new
        ([CLEAN, SHUT, OLD], Look(1.0, starts=1, newest_start="Mon Aug 24 08:17"), "ok"),
    ],
)
def test_only_new_starts_count(rows, seen, verdict):
    assert restarts(rows, look_=seen).verdict == verdict


def test_a_panic_is_told_with_where_to_read_it():
    finding = restarts([CUT, CLEAN, SHUT], ["panic-full-2025-01-01-010101.panic", "panic-full-2026-11-20-031100.0002.panic"])

    assert finding.have == "1 panic (2026-11-20 03:11:00), 1 start without a shutdown (Fri Nov 20 03:12) in the last 7 days"
    assert "head -c 3000 /Library/Logs/DiagnosticReports/panic-full-2026-11-20-031100.0002.panic" in finding.hint


@pytest.mark.parametrize(
    ("cause", "told", "hint"),
    [
        (
            '\\"completeMemory() prepare count underflow\\" @IOGPUMemory.cpp:550',
            "completeMemory() prepare count underflow @IOGPUMemory.cpp:550",
            "lower `wired_limit`",
        ),
        (
            "watchdog timeout: no checkins from watchdogd in 94 seconds",
            "watchdog timeout: no checkins from watchdogd in 94 seconds",
            "macOS could not breathe",
        ),
        ("Kernel data abort.", "Kernel data abort.", "`macfleet exec --mac studio-1 -- sudo head"),
    ],
)
def test_a_panic_is_named_by_its_cause_where_the_report_says_it(cause, told, hint):
    name = "panic-full-2026-11-20-031100.0002.panic"

    finding = restarts([CLEAN, SHUT], [name], causes=f"/Library/Logs/DiagnosticReports/{name}:panic(cpu 4 caller 0x1): {cause}\n")

    assert finding.have == f"1 panic (2026-11-20 03:11:00: {told}) in the last 7 days"
    assert finding.hint.startswith(hint)


def smart(passed=True, status=4, **changes):
    return ((status, json.dumps({"smart_status": {"passed": passed}, "nvme_smart_health_information_log": {**SSD, **changes}})),)


def ssd(said, *samples, now_days=100.0):
    past = Past(now_days * DAY_S, {"studio-1": History(samples=samples)})
    return judge(Ssd(past), MAC, {smartctl.SSD: said})


@pytest.mark.parametrize(
    ("said", "verdict", "have"),
    [
        (smart(), "ok", "2 % used, 51.2 TB written"),
        (smart(status=0), "ok", "2 % used, 51.2 TB written"),
        (smart(critical_warning=1, available_spare=98), "ok", "2 % used, 51.2 TB written"),
        (smart(critical_warning=4), "fail", "the SSD itself reports trouble (critical warning 4); 2 % used, 51.2 TB written"),
        (smart(passed=False), "fail", "the SSD itself reports trouble (critical warning 0); 2 % used, 51.2 TB written"),
        (smart(percentage_used=80), "fail", "80 % used, 51.2 TB written"),
        (smart(media_errors=3), "warn", "3 media errors; 2 % used, 51.2 TB written"),
        (((127, ""),), "warn", "not known: smartmontools is not installed"),
        (((2, "{}"),), "unknown", "`smartctl -a -j disk0` ended with 2: {}"),
    ],
)
def test_ssd(said, verdict, have):
    finding = ssd(said)

    assert (finding.verdict, finding.have) == (verdict, have)


def test_a_virtual_machine_has_no_ssd_to_wear():
    hardware = "hw.model: VirtualMac2,1\nhw.memsize: 8589934592\nmachdep.cpu.brand_string: Apple M4 (Virtual)\nhw.optional.arm64: 1\n"

    finding = judge(Ssd(), MAC, {smartctl.SSD: ((1, "{}"),), sysctl.IDENTITY: (hardware,)})

    assert (finding.verdict, finding.have) == ("ok", "not looked at: a virtual machine has no SSD of its own")


@pytest.mark.parametrize(
    ("samples", "verdict", "told"),
    [
        # 2 % are 51.2 TB, so 78 % are 1996.8 TB more: 51.2 TB in 100 days is 3900 days, 50 TB in 10 days is 399.4.
        ([Sample(0.0, 0, 0)], "ok", "; 80 % in 10.7 years at this rate"),
        ([Sample(90 * DAY_S, 1_200_000_000_000, 2)], "ok", "; 80 % in 1.1 years at this rate"),
        ([Sample(95 * DAY_S, 1_200_000_000_000, 2)], "warn", "; 80 % in 200 days at this rate"),
        ([Sample(0.0, 51_100_000_000_000, 2)], "ok", "; 80 % in more than 20 years at this rate"),
        ([Sample(99.5 * DAY_S, 0, 0)], "ok", ""),  # half a day is no rate
        ([Sample(0.0, 90_000_000_000_000, 3)], "ok", ""),  # another disk
    ],
)
def test_the_wear_is_projected_at_the_rate_that_was_observed(samples, verdict, told):
    finding = ssd(smart(), *samples)

    assert (finding.verdict, finding.have) == (verdict, f"2 % used, 51.2 TB written{told}")


def test_a_look_keeps_what_the_next_one_compares_with():
    shelf = Shelf(count=1)
    mac, facts = shelf.inventory.macs[0], shelf.facts(1)

    assert look(mac, facts, 5.0) == Look(5.0, 1, "Thu Nov 19 11:14", (), {"dev.macfleet.wired-limit": 1})
    assert sample(facts, 5.0) == Sample(5.0, 51_200_000_000_000, 2)


def test_checks_with_a_reading_that_moves_are_marked():
    assert {check.name for check in CHECKS if getattr(check, "measures", False)} == {
        "disk-space",
        "memory",
        "wired-memory",
        "thermal",
        "ssd",
    }
