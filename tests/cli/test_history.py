"""`macfleet history`, as typed."""

import json
import os
import time

import pytest
import typer
from typer.testing import CliRunner

from macfleet.cli.commands import register
from macfleet.core.clock import HandClock
from macfleet.core.errors import RequestError
from macfleet.fleet.journal import Journal

register(app := typer.Typer())
INVENTORY = 'fleet: {name: test}\nmacs:\n  studio-1: {address: 10.0.0.1, hardware: "Mac15,14", memory: 96 GiB}\n'


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    yield tmp_path
    monkeypatch.delenv("TZ")
    time.tzset()


def journal(fleet, minute=0):
    return Journal(fleet / ".macfleet/journal.jsonl", HandClock(1_790_000_000 + minute * 60), "anna@laptop")


def typed(fleet, *words):
    environment = {"MACFLEET_INVENTORY": str(fleet / "inventory.yaml"), "COLUMNS": "200"}
    return CliRunner().invoke(app, ["history", *words], env=environment, catch_exceptions=True)


def two_runs(fleet):
    first, second = journal(fleet), journal(fleet, minute=90)
    first.write("provision-begun", macs={"studio-1": 1})
    first.write("provision", mac="studio-1", changes=["pmset sleep 1 → 0"], error=None)
    second.write("deploy-failed", service="chat", error="no room")


def test_every_run_is_a_line_with_the_newest_last(fleet):
    two_runs(fleet)

    assert typed(fleet).stdout.splitlines() == [
        "1  2026-09-21 14:13  anna@laptop  provision      studio-1, 1 change",
        "2  2026-09-21 15:43  anna@laptop  deploy-failed  chat, 1 error",
    ]


def test_one_run_is_shown_with_every_change(fleet):
    two_runs(fleet)

    assert typed(fleet, "show", "1").stdout.splitlines() == [
        "run 1: provision, by anna@laptop, on 2026-09-21 at 14:13:20 for 0.0 s",
        "14:13:20  provision-begun",
        "  macs: studio-1 1",
        "14:13:20  provision  studio-1",
        "  pmset sleep 1 → 0",
    ]


@pytest.mark.parametrize(
    ("words", "ids"),
    [((), [1, 2]), (("--last", "1"), [2]), (("--mac", "studio-*"), [1]), (("--mac", "mini"), []), (("--event", "deploy-failed"), [2])],
)
def test_runs_are_chosen_by_number_mac_and_event(fleet, words, ids):
    two_runs(fleet)

    assert [run["id"] for run in json.loads(typed(fleet, "--json", *words).stdout)["runs"]] == ids


def test_a_run_that_is_not_there_is_refused_with_those_that_are(fleet):
    two_runs(fleet)

    refused = typed(fleet, "show", "7").exception

    assert isinstance(refused, RequestError)
    assert str(refused).startswith("there is no run 7 in ")
    assert refused.hint == "there are runs 1 to 2; `macfleet history` lists them"


def test_nothing_done_yet_is_said_and_is_no_error(fleet):
    ended = typed(fleet)

    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "nothing of that kind was done from here" in ended.stderr
    assert os.listdir(fleet) == ["inventory.yaml"]
