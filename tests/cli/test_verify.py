"""`verify` for people, scripts and CI; `explain`."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace
from xml.etree import ElementTree as xml

import pytest
import typer
from typer.testing import CliRunner

from macfleet.checks import FLEET_CHECKS
from macfleet.checks.past import Past
from macfleet.cli.commands import register
from macfleet.cli.drifted import answer_drift
from macfleet.cli.junit import render
from macfleet.cli.output import Output
from macfleet.cli.verify import keep
from macfleet.cli.watch import Watch
from macfleet.core.errors import RequestError
from macfleet.core.finding import Finding, Verdict
from macfleet.fleet.journal import Journal
from macfleet.serving.drift import Run, find_run, journal_entry, snapshot
from macfleet.serving.looks import Kept, load_kept
from macfleet.serving.reachable import REACHABLE
from macfleet.serving.verify import MacVerification, Verification
from tests.checks.macs import CHECKS

app = typer.Typer()
register(app)
ALL = (REACHABLE, *CHECKS, *FLEET_CHECKS)
FINDINGS = (
    Finding("reachable", Verdict.OK, "10.0.0.1:22 answers", "reachable", "why"),
    Finding("power", Verdict.FAIL, "sleep 1", "sleep 0", "it goes away", "provision"),
    Finding("rdma", Verdict.UNKNOWN, "said \x1b[31m<nothing>", "active", "why"),
    Finding("spotlight", Verdict.WARN, "on", "off", "why", "mdutil"),
)
AFTER = Verification((MacVerification("studio-1", "differs", FINDINGS, 1.25),), (Finding("cabling", Verdict.OK, "6 cables", "mesh"),), 1.5)
BEFORE = Verification((MacVerification("studio-1", "ok", (FINDINGS[0], Finding("power", Verdict.OK, "as wanted", "")), 1.0),), (), 1.0)


def said(json_wanted):
    out = io.StringIO()
    answer_drift(Output(json_wanted=json_wanted, stdout=out), Run(7, "2026-11-19T08:00:00+00:00", snapshot(BEFORE)), AFTER)
    return out.getvalue()


def test_drift_for_people():
    assert said(json_wanted=False).splitlines() == [
        "studio-1  power  fail: sleep 1; was ok: as wanted",
        "1 check says something otherwise than at run 7, 2026-11-19T08:00:00+00:00; 0 Macs as wanted, 1 differ, 0 unreachable in 1.5 s",
    ]


def test_a_run_about_other_macs_is_compared_mac_by_mac():
    err = io.StringIO()
    others = replace(BEFORE, macs=(*BEFORE.macs, replace(BEFORE.macs[0], mac="studio-2")))

    answer_drift(Output(stdout=io.StringIO(), stderr=err), Run(7, "2026-11-19", snapshot(others)), AFTER)

    assert err.getvalue().startswith("run 7 was about other Macs as well, or about fewer: ")


def test_drift_for_scripts_stands_beside_everything_else():
    told = json.loads(said(json_wanted=True))

    assert told["since"] == {"id": 7, "time": "2026-11-19T08:00:00+00:00"}
    assert [(each["where"], each["check"], each["after"]) for each in told["drift"]] == [
        ("studio-1", "power", [{"verdict": "fail", "have": "sleep 1"}])
    ]
    assert told["macs"][0]["outcome"] == "differs"


def test_junit_has_a_suite_for_each_mac_and_the_fleet():
    root = xml.fromstring(render(AFTER))

    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("studio-1", "4"), ("the fleet", "1")]
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "time")} == {
        "tests": "5", "failures": "1", "errors": "1", "time": "1.500",
    }  # fmt: skip


def test_junit_says_what_is_wrong_where_ci_looks():
    cases = {case.get("name"): case for case in xml.fromstring(render(AFTER)).iter("testcase")}

    assert len(cases["reachable"]) == 0
    assert cases["power"].find("failure").get("message") == "sleep 1"
    assert "hint: provision" in cases["power"].find("failure").text
    assert cases["rdma"].find("error").get("message") == "said \ufffd[31m<nothing>"
    assert cases["spotlight"].find("system-out").text.startswith("warning\n")


def test_a_directory_that_cannot_be_written_costs_a_warning_and_no_verdict(tmp_path):
    (tmp_path / "state").write_text("a file")
    err = io.StringIO()
    state_dir = tmp_path / "state" / ".macfleet"
    session = SimpleNamespace(
        journal=Journal(state_dir / "journal.jsonl"), inventory=SimpleNamespace(state_dir=state_dir), output=Output(stderr=err)
    )

    keep(session, Kept(Past()), AFTER)

    assert err.getvalue().startswith("warning: the journal ")
    assert err.getvalue().endswith("the next run cannot say what is new since this one\n")


def test_a_run_that_finds_the_same_takes_little_room_in_the_journal(tmp_path):
    for _ in range(3):
        session = SimpleNamespace(
            journal=Journal(tmp_path / "journal.jsonl"), inventory=SimpleNamespace(state_dir=tmp_path), output=Output()
        )
        keep(session, load_kept(tmp_path, 0.0), AFTER)

    entries = Journal(tmp_path / "journal.jsonl").entries()

    assert [entry["seen"] if isinstance(entry["seen"], int) else "in full" for entry in entries] == ["in full", 1, 1]
    assert find_run(entries, "last").snapshot == snapshot(AFTER)


def test_a_journal_that_has_begun_anew_has_what_was_seen_in_full(tmp_path):
    filled_by_two = 2 * len(json.dumps(journal_entry(AFTER)))
    for _ in range(9):
        journal = Journal(tmp_path / "journal.jsonl", most_bytes=filled_by_two)
        keep(
            SimpleNamespace(journal=journal, inventory=SimpleNamespace(state_dir=tmp_path), output=Output()),
            load_kept(tmp_path, 0.0),
            AFTER,
        )

    entries = Journal(tmp_path / "journal.jsonl").entries()

    assert journal.older.exists()
    assert find_run(entries, "last").snapshot == snapshot(AFTER)
    assert find_run(entries, "last").id == 9
    assert [find_run(entries, str(entry["id"])).snapshot for entry in entries] == [snapshot(AFTER)] * len(entries)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"every": "30", "since": None, "junit": None}, '--every "30" is not a duration; write "30 s" or "30 min"'),
        ({"every": "30 s", "since": "7", "junit": None}, "--watch shows what changes from now on"),
    ],
)
def test_a_watch_that_cannot_be_is_refused_before_any_mac_is_asked(options, complaint):
    with pytest.raises(RequestError) as error:
        Watch(None, about_fleet=(), **options)

    assert str(error.value) == complaint


def explain(*words):
    return CliRunner().invoke(app, ["explain", *words], env={"COLUMNS": "200", "NO_COLOR": "1"})


def test_every_check_is_explained_with_its_reason_its_source_and_what_it_reads():
    told = json.loads(explain("--json").stdout)["checks"]

    assert [(each["check"], each["why"], each["source"]) for each in told] == [(each.name, each.why, each.source) for each in ALL]
    assert [each["check"] for each in told if each["question"][-1] != "?"] == []
    assert [each["check"] for each in told if not each["commands"]] == ["reachable"]  # that is the connection itself


def test_an_explanation_for_people():
    lines = explain("thermal").stdout.splitlines()

    assert lines[0] == "thermal, of each Mac"
    assert lines[1] == "  asks:   Is the Mac slowed down by heat?"
    assert lines[-1] == "  reads:  notifyutil -g com.apple.system.thermalpressurelevel"


def test_without_a_name_all_questions_are_listed():
    lines = explain().stdout.splitlines()

    assert [line.split()[0] for line in lines] == [check.name for check in ALL]


def test_a_name_that_is_none_is_corrected():
    result = explain("spotlite")

    assert isinstance(result.exception, RequestError)
    assert result.exception.hint == 'did you mean "spotlight"?'
