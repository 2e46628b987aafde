"""`macfleet provision`, as typed: what can be said before any Mac is asked."""

import pytest
import typer
from typer.testing import CliRunner

from macfleet.cli.commands import register
from macfleet.core.errors import RequestError
from macfleet.core.outcome import Outcome, Report
from macfleet.inventory.load import load_inventory
from macfleet.playbook.plan import MacPlan
from macfleet.serving.plan_file import saved, write_plan
from macfleet.serving.run_file import RunFile, Unfinished

register(app := typer.Typer())
INVENTORY = 'fleet: {name: test}\nmacs:\n  studio-1: {address: 10.0.0.1, hardware: "Mac15,14", memory: 96 GiB}\n'


@pytest.fixture
def fleet(tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    return tmp_path


def refused(fleet, *words):
    environment = {"MACFLEET_INVENTORY": str(fleet / "inventory.yaml"), "COLUMNS": "200"}
    ended = CliRunner().invoke(app, ["provision", *words], env=environment)
    assert isinstance(ended.exception, RequestError), ended.exception
    return ended.exception


def a_plan(mac="studio-1"):
    return saved(Report((Outcome(mac, MacPlan(mac, ())),)), "provision")


def test_a_plan_and_a_run_that_stands_exclude_each_other(fleet):
    assert "say one of them" in refused(fleet, "--apply", "plan.json", "--resume").what


def test_a_plan_says_itself_which_playbook_and_tasks_it_is_of(fleet):
    assert refused(fleet, "--resume", "--only", "power").what.endswith("leave out --only")
    assert refused(fleet, "--apply", "x", "--playbook", "own").what.endswith("leave out --playbook")


def test_a_plan_that_is_not_there_is_said_with_how_to_make_one(fleet):
    error = refused(fleet, "--apply", str(fleet / "plan.json"))

    assert error.what == f"the plan {fleet}/plan.json cannot be read: No such file or directory"
    assert error.hint == f"`macfleet provision --plan {fleet}/plan.json` writes one"


def test_a_plan_for_other_macs_is_refused(fleet):
    write_plan(a_plan("mini-1"), fleet / "plan.json")

    error = refused(fleet, "--apply", str(fleet / "plan.json"))

    assert (error.what, error.hint) == ("the plan is for none of these Macs", "it is for mini-1")


def test_without_a_run_there_is_nothing_to_resume(fleet):
    assert "no run stands" in refused(fleet, "--resume").what


def test_a_run_that_is_done_on_the_chosen_macs_is_not_resumed(fleet):
    inventory = load_inventory(fleet / "inventory.yaml")
    RunFile(inventory).begin(Unfinished(a_plan(), {}, frozenset({"studio-1"})))

    assert "for none of these Macs" in refused(fleet, "--resume").what
