"""The soak runs, and a short one of few clients is well."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.rehearsal

BENCHMARK = Path(__file__).parent.parent.parent / "benchmarks/soak.py"


def test_clients_that_come_and_go_hear_what_they_would_hear_alone():
    words = ["--minutes", "0.15", "--streams", "12", "--questions", "16", "--longest", "48", "--json"]

    run = subprocess.run([sys.executable, BENCHMARK, *words], capture_output=True, text=True, timeout=300)

    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(run.stdout)
    assert told["is_well"]
    assert told["choices"]["equal"] > 20
    assert told["left"] > 0
    assert told["prefixes"]["prefix_hits"] > 0
