"""Nights on which nobody is at fault and the service must come back. The stories share one fleet and follow each other."""

import os
import signal

import pytest

from tests.rehearsal.served import MODEL, SERVICE, answers, base_url, deploy, eventually, macs_of, served, status_of
from tests.rehearsal.under_way import under_way

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with served(tmp_path_factory.mktemp("nights")) as made:
        yield made


def gateway_pid(stage):
    gateway = status_of(stage)["macs"][0]["gateway"]
    return gateway["pid"] if gateway else None


def test_a_frozen_gateway_is_noticed_and_replaced(stage):
    frozen, url = gateway_pid(stage), base_url(stage)
    os.kill(frozen, signal.SIGSTOP)

    shown = status_of(stage)

    assert (shown["state"], shown["reason"]) == ("silent", "no answer in time")
    eventually(lambda: answers(url), "the agent ends it and launchd starts another")
    assert gateway_pid(stage) not in (frozen, None)


def test_every_mac_loses_its_power_and_the_service_comes_back_by_itself(stage):
    url = base_url(stage)
    for mac in macs_of(stage):
        stage.must("lab", "fault", "mac-down", mac)
    assert not answers(url)

    stage.must("lab", "heal")

    eventually(lambda: answers(url), "launchd starts every job and the gang finds itself")
    assert "Paris" in stage.must("chat", SERVICE, "What is the capital of France?", "--temperature", "0").stdout


def test_a_service_is_deployed_without_its_dead_head(stage):
    head, *others = macs_of(stage)
    stage.must("lab", "fault", "mac-down", head)
    dead = stage.must("status", exit_code=3)
    assert f"{SERVICE}: unknown: {head}" in dead.stdout
    assert f"macfleet deploy --model {MODEL} --name {SERVICE} --macs {others[0]},{others[1]}" in dead.stderr

    ended = stage.must("deploy", "--model", MODEL, "--name", SERVICE, "--macs", ",".join(others), "--yes")

    assert f"{head} is away and keeps its part of the older deployment" in ended.stderr
    assert [mac["mac"] for mac in status_of(stage)["macs"]] == others
    assert "Paris" in stage.must("chat", SERVICE, "What is the capital of France?", "--temperature", "0").stdout


def test_what_the_dead_head_still_has_when_it_is_back_is_said_and_cleared_while_the_service_runs_on(stage):
    head = macs_of(stage)[0]
    stage.must("lab", "heal")
    serving = gateway_pid(stage)

    left = stage.must("status", "--json", exit_code=1).json["leftovers"]
    stage.must("stop", SERVICE, "--leftovers", "--yes")

    assert [(one["mac"], one["service"]) for one in left] == [(head, SERVICE)]
    assert stage.must("status", "--json").json["leftovers"] == []
    assert gateway_pid(stage) == serving
    assert not list((stage.folder / "macs" / head).rglob("worker.json"))


def test_a_deployment_whose_controller_was_killed_is_not_called_well_and_the_next_one_takes_over(stage):
    macs = ",".join(macs_of(stage)[1:])
    with under_way(stage, "deploy", "--model", MODEL, "--name", SERVICE, "--macs", macs, "--yes") as deploying:
        deploying.until_it_says("asking the canary")
        deploying.signal(signal.SIGKILL)
        deploying.end()

    half = stage.must("status", exit_code=1)
    held = stage.must("lock", "show")

    assert "no canary has passed" in half.stderr
    assert held.stdout.count("that process is gone") == 3
    deploy(stage)
    stage.must("status")
    assert "held" not in stage.must("lock", "show").stdout
