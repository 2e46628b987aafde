"""The journal read run by run."""

import json

from hypothesis import given
from hypothesis import strategies as st

from macfleet.fleet.history import lines_of, runs_of


def line(event, minute=0, run=1, **details):
    return {"time": f"2026-09-21T14:{minute:02}:00+00:00", "event": event, "id": run, "who": "anna@laptop", **details}


PROVISION = (
    line("provision-begun", 1, macs={"studio-1": 2, "studio-2": 1}, playbook="provision.yaml"),
    line("provision", 2, mac="studio-1", changes=["pmset sleep 1 → 0", "pmset womp 0 → 1"], error=None),
    line("provision", 3, mac="studio-2", changes=[], error="studio-2: sudo asks"),
)


def test_the_lines_of_one_command_are_one_run():
    [run] = runs_of(PROVISION)

    assert (run.id, run.who, run.what, run.macs) == (1, "anna@laptop", "provision", ("studio-1", "studio-2"))
    assert (run.ended - run.began).total_seconds() == 120
    assert run.sentence() == "provision.yaml, 2 Macs, 2 changes, 1 error"


def test_runs_that_were_under_way_at_once_are_told_apart():
    runs = runs_of([line("roll", run=1, mac="a"), line("verify", run=2), line("roll", run=1, mac="b")])

    assert [(run.id, run.what, run.macs) for run in runs] == [(1, "roll", ("a", "b")), (2, "verify", ())]


def test_a_run_that_only_began_did_not_say_how_it_ended():
    [run] = runs_of(PROVISION[:1])

    assert run.was_cut_off
    assert run.sentence() == "provision.yaml, 2 Macs, did not say how it ended"


def test_lines_from_before_runs_had_numbers_stand_for_themselves():
    old = {"time": "2026-01-01T00:00:00+00:00", "event": "pin", "macs": {"studio-1": "SHA256:x"}}

    assert [(run.id, run.who, run.sentence()) for run in runs_of([old, old])] == [(None, "", "studio-1"), (None, "", "studio-1")]


def test_lines_that_are_something_else_are_left_out():
    assert runs_of([{}, {"event": "x"}, {"time": "yesterday", "event": "x"}, {"time": 3, "event": "x"}, {**line("x"), "event": 3}]) == ()


def test_a_failed_deployment_is_an_error_of_its_service():
    [run] = runs_of([line("deploy", service="chat", macs=["studio-1"]), line("deploy-failed", service="chat", error="no room")])

    assert run.sentence() == "chat, studio-1, 1 error"


def test_details_are_said_line_by_line_and_what_is_empty_is_not_said():
    change = {"task": "awake", "what": "pmset sleep", "before": "1", "after": "0"}
    entry = line("provision", mac="a", changes=[change, "pmset womp 0 → 1"], error=None, left=["a", "b"], macs={"a": 2}, took_s=1.5)

    assert list(lines_of(entry)) == ["pmset sleep 1 → 0", "pmset womp 0 → 1", "left: a, b", "macs: a 2", "took_s: 1.5"]


def test_a_verify_tells_its_findings_and_not_what_programs_compare():
    found = {"on": "studio-1", "check": "power", "verdict": "fail", "have": "sleep 1"}
    entry = line("verify", macs=["studio-1"], outcomes={"differs": 1}, findings=[found], seen={"studio-1": {"power": ["fail"]}})

    [run] = runs_of([entry])

    assert run.sentence() == "studio-1, 1 finding"
    assert list(lines_of(entry)) == ["macs: studio-1", "outcomes: differs 1", "studio-1: power fail: sleep 1"]


TIMES = ["2026-09-21T14:00:00+00:00", "2026-09-21", "0001-01-01", "9999-12-31T23:59:59-12:00", "yesterday"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["studio-1", "provision-begun", "x-failed", *TIMES]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["what", "before", "after", "on", "a"]), inner, max_size=4),
    max_leaves=6,
)
KEYS = st.sampled_from(["time", "event", "id", "who", "mac", "macs", "changes", "error", "findings", "service", "seen"])
ENTRIES = st.dictionaries(KEYS, VALUES).map(lambda entry: {"time": TIMES[0], "event": "x", **entry})


@given(st.lists(ENTRIES | st.dictionaries(KEYS, VALUES), max_size=4))
def test_whatever_stands_in_a_journal_is_told_or_left_out(entries):
    runs = runs_of(entries)

    assert all(isinstance(run.sentence(), str) and json.dumps(run.as_json()) for run in runs)
    assert all(isinstance(line, str) for run in runs for entry in run.entries for line in lines_of(entry))
