"""A fleet that is looked at again and again: what is new since the last look, what changes under one's eyes, what CI reads.

The stories share one fleet, in this order.
"""

import json
import queue
import signal
import threading
import time
from xml.etree import ElementTree as xml

import pytest

from tests.rehearsal.stage import rehearsal

pytestmark = pytest.mark.rehearsal

DEADLINE_S = 60


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two Macs as a careful owner would have them, not provisioned."""
    with rehearsal(tmp_path_factory.mktemp("looks"), "--macs", "2") as made:
        yield made


def lab(pair, *words):
    return pair.must("lab", *words, "--dir", str(pair.folder))


def finding(ended, mac, check):
    (found,) = (each for each in ended.json["macs"] if each["mac"] == mac)
    return next(each for each in found["findings"] if each["check"] == check)


def wait_until(holds):
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_fleet_that_nobody_touched_has_not_drifted(pair):
    pair.must("verify", exit_code=1)

    again = pair.must("verify", "--since", "last", exit_code=1)

    assert again.stdout.startswith("nothing is otherwise than at run 1, ")


def test_a_power_cut_is_told_once_and_then_it_is_known(pair):
    lab(pair, "fault", "mac-down", "studio-1")
    lab(pair, "heal", "mac-down")
    wait_until(lambda: pair.type("exec", "--mac", "studio-1", "--", "true").exit_code == 0)

    after, later = pair.must("verify", "--json", exit_code=1), pair.must("verify", "--json", exit_code=1)

    assert finding(after, "studio-1", "restarts")["have"].startswith("1 start without a shutdown (")
    assert finding(after, "studio-2", "restarts")["verdict"] == "ok"
    assert finding(later, "studio-1", "restarts")["have"] == "none"


def test_what_somebody_changed_is_the_drift_since_a_run(pair):
    pair.must("exec", "--mac", "studio-2", "--", "sudo", "socketfilterfw", "--setblockall", "on")

    since_first = pair.must("verify", "--since", "1", "--json", exit_code=1).json

    drifted = {(each["where"], each["check"]): each for each in since_first["drift"]}
    assert drifted["studio-2", "firewall"]["before"] == [{"verdict": "ok", "have": "off"}]
    assert drifted["studio-2", "firewall"]["after"] == [{"verdict": "fail", "have": "on, and blocks every incoming connection"}]
    assert not any(where == "studio-1" for where, _ in drifted), since_first["drift"]


def test_ci_reads_the_same_as_everybody(pair):
    file = pair.folder / "verify.xml"

    ended = pair.must("verify", "--junit", str(file), "--json", exit_code=1)

    root = xml.parse(file).getroot()
    findings = ended.json["summary"]["findings"]
    assert (int(root.get("failures")), int(root.get("errors"))) == (findings["fail"], findings["unknown"])
    assert [suite.get("name") for suite in root] == ["studio-1", "studio-2", "the fleet"]


def test_a_watch_shows_only_what_changes_until_ctrl_c(pair):
    with pair.start("verify", "--watch", "--every", "1 s", "--quiet") as watch:
        lines = queue.SimpleQueue()
        reader = threading.Thread(target=lambda: [lines.put(line) for line in watch.stdout], daemon=True)
        reader.start()
        try:
            read_until(lines, " as wanted, ")
            lab(pair, "fault", "wired-leak", "studio-2")
            changed = read_until(lines, "wired-memory")
        finally:
            watch.send_signal(signal.SIGINT)
            exit_code = watch.wait(DEADLINE_S)
            reader.join(DEADLINE_S)

    assert changed.startswith("studio-2  wired-memory  fail: ")
    assert exit_code == 130


def read_until(lines, word):
    while word not in (line := lines.get(timeout=DEADLINE_S)):
        pass
    return line.rstrip("\n")


def test_the_journal_has_each_look_in_short(pair):
    runs = json.loads(pair.must("history", "--json").stdout)["runs"]

    looks = [run for run in runs if run["what"] == "verify"]
    assert len(looks) >= 6
    assert all(run["macs"] == ["studio-1", "studio-2"] for run in looks)
