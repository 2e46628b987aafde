"""The fleet benchmark runs, and what it counts is what the design promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.rehearsal, pytest.mark.openssh]

BENCHMARK = Path(__file__).parent.parent.parent / "benchmarks/fleet.py"


@pytest.fixture(scope="module")
def answer():
    words = ["--macs", "1", "2", "--rounds", "1", "--changes", "3", "--only", "no-change", "first", "--json"]
    run = subprocess.run([sys.executable, BENCHMARK, *words], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_mac_that_already_agrees_costs_one_connection_and_one_channel(answer):
    figures = answer["runs"]

    assert {figure["run"] for figure in figures} == {"verify", "provision, no change"}
    assert [(figure["channels_per_mac"], figure["connections_per_mac"]) for figure in figures] == [(1.0, 1.0)] * 4


def test_a_first_provision_costs_a_round_trip_for_each_change_and_two_more(answer):
    (trips,) = [ratio["figure"] for ratio in answer["ratios"] if "round trips" in ratio["what"]]

    assert trips == 2 + 3
