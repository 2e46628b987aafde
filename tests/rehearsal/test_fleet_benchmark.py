"""The fleet benchmark runs, and what it counts is what the design promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.rehearsal, pytest.mark.openssh]

BENCHMARK = Path(__file__).parent.parent.parent / "benchmarks/fleet.py"


def test_a_mac_that_already_agrees_costs_one_connection_and_one_channel():
    run = subprocess.run(
        [sys.executable, BENCHMARK, "--macs", "1", "2", "--rounds", "1", "--json"], capture_output=True, text=True, timeout=300
    )

    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout)["runs"]
    assert {figure["run"] for figure in figures} == {"verify", "provision, no change"}
    assert [(figure["channels_per_mac"], figure["connections_per_mac"]) for figure in figures] == [(1.0, 1.0)] * 4
