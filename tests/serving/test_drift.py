"""Drift: what a check says otherwise than at an earlier run, and nothing else."""

import json

import pytest

from macfleet.core.errors import RequestError
from macfleet.core.finding import Finding, Verdict
from macfleet.serving.drift import drift, find_run, journal_entry, snapshot
from macfleet.serving.looks import Seen
from macfleet.serving.verify import MacVerification, Verification

OK, WARN, FAIL, UNKNOWN = Verdict.OK, Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN


def a_run(*findings, fleet=(), outcome="ok", mac="studio-1", measuring=("memory",)):
    """One Mac's (check, verdict, have), and those of the fleet."""
    found = tuple(Finding(check, verdict, have, "wanted", "why", "hint") for check, verdict, have in findings)
    about = tuple(Finding(check, verdict, have, "wanted") for check, verdict, have in fleet)
    return Verification((MacVerification(mac, outcome, found, 0.1),), about, 0.2, {}, frozenset(measuring))


def changes(before, after):
    return [(each.where, each.check, each.line()) for each in drift(snapshot(before), after)]


def test_nothing_changed_is_no_drift():
    assert changes(a_run(("power", OK, "as wanted")), a_run(("power", OK, "as wanted"))) == []


def test_a_verdict_and_a_value_that_changed_are_drift():
    before = a_run(("power", OK, "as wanted"), ("macos-version", OK, "macOS 26.5 (25F71)"))
    after = a_run(("power", FAIL, "sleep 1"), ("macos-version", OK, "macOS 26.6 (25G83)"))

    assert changes(before, after) == [
        ("studio-1", "power", "fail: sleep 1; was ok: as wanted"),
        ("studio-1", "macos-version", "ok: macOS 26.6 (25G83); was ok: macOS 26.5 (25F71)"),
    ]


def test_a_reading_that_moves_by_itself_is_none():
    assert changes(a_run(("memory", OK, "0 B of swap")), a_run(("memory", OK, "9 B of swap"))) == []
    assert changes(a_run(("memory", OK, "0 B of swap")), a_run(("memory", FAIL, "9 GiB of swap"))) == [
        ("studio-1", "memory", "fail: 9 GiB of swap; was ok")
    ]


def test_a_mac_that_is_away_is_one_drift_and_not_thirty():
    before = a_run(("reachable", OK, "answers"), ("power", OK, "as wanted"), ("sudo", OK, "yes"))
    after = a_run(("reachable", FAIL, "refuses"), outcome="unreachable")

    assert changes(before, after) == [("studio-1", "reachable", "fail: refuses; was ok: answers")]


def test_two_findings_of_one_check_are_compared_together():
    before = a_run(fleet=(("cabling", FAIL, "no cable 1"), ("cabling", FAIL, "no cable 2")))
    after = a_run(fleet=(("cabling", FAIL, "no cable 2"),))

    assert changes(before, after) == [("the fleet", "cabling", "fail: no cable 2; was fail: no cable 1, fail: no cable 2")]


def test_the_fleet_is_compared_only_when_the_same_macs_were_asked():
    before, after = a_run(fleet=(("cabling", OK, "6 cables"),)), a_run(fleet=(("cabling", OK, "3 cables"),), mac="studio-2")

    assert changes(before, after) == []


FOREIGN = {"macs": {"studio-1": {"power": [["great", ""]]}}, "fleet": {}}  # as a later macfleet may write it


def entries(*runs):
    lines = [
        {"time": f"2026-11-0{number}", "event": "verify", "id": number, "who": "me", **journal_entry(run)}
        for number, run in enumerate(runs, 1)
    ]
    return json.loads(json.dumps([{"time": "2026-11-01", "event": "provision", "id": 9}, *lines]))


def test_what_the_journal_keeps_is_the_run_that_was():
    run = a_run(("power", FAIL, "sleep 1"), fleet=(("cabling", OK, "6 cables"),), outcome="differs")

    kept = find_run(entries(run), "1")

    assert (kept.id, kept.time, kept.snapshot) == (1, "2026-11-01", snapshot(run))


def test_the_journal_says_in_short_what_was_wrong():
    entry = journal_entry(a_run(("power", FAIL, "sleep 1"), ("sudo", OK, "yes"), outcome="differs"))

    assert (entry["macs"], entry["outcomes"], entry["exit_code"]) == (["studio-1"], {"differs": 1}, 1)
    assert entry["findings"] == [{"on": "studio-1", "check": "power", "verdict": "fail", "have": "sleep 1"}]


def test_a_run_that_found_the_same_points_at_the_one_that_has_it_in_full():
    run, other = a_run(("power", FAIL, "sleep 1")), a_run(("power", OK, "as wanted"))
    journal = entries(run, other)
    journal.append({"time": "2026-11-09", "event": "verify", "id": 9, **journal_entry(run, Seen(1, snapshot(run).digest))})

    assert journal[-1]["seen"] == 1
    assert find_run(journal, "9").snapshot == snapshot(run)
    assert isinstance(journal_entry(other, Seen(1, snapshot(run).digest))["seen"], dict)


def test_a_run_that_points_at_nothing_is_none():
    journal = [{"time": "2026-11-09", "event": "verify", "id": 9, "seen": 1}]

    with pytest.raises(RequestError):
        find_run(journal, "9")


def test_last_is_the_last_verify_and_no_other_run():
    assert find_run(entries(a_run(), a_run()), "last").id == 2


@pytest.mark.parametrize(
    ("journal", "number", "hint"),
    [
        (entries(a_run(), a_run()), "9", "the latest are 1, 2; `macfleet history` lists all"),
        ([], "last", "run `macfleet verify` once without --since"),
        (
            [{"event": "verify", "id": 1, "time": "x", "seen": {"macs": {"studio-1": {"power": [["great", ""]]}}}}],
            "1",
            "run `macfleet verify` once",
        ),
    ],
)
def test_a_run_that_is_none_is_named(journal, number, hint):
    with pytest.raises(RequestError) as error:
        find_run(journal, number)

    assert error.value.hint.startswith(hint)
