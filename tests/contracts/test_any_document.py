"""What macfleet reads on the operator's own machine, mangled at every place: it is understood, or refused in a sentence.

Files are cut by full disks, edited by hand and written by other versions. None of that may be a traceback, and a record of the
past that nobody understands is no past, never a reason to stop.
"""

import json
from pathlib import Path

import pytest

from macfleet.core.errors import MacfleetError
from macfleet.fleet.history import lines_of, runs_of
from macfleet.fleet.journal import Journal
from macfleet.inventory.load import load_inventory
from macfleet.playbook.load import load_playbook
from macfleet.serving import looks
from macfleet.serving.drift import find_run
from macfleet.serving.plan_file import parse_plan
from macfleet.serving.run_file import parse_run
from macfleet.window.roll import parse_roll, render_roll
from tests.macos.mangled import everything
from tests.window.test_roll import ROLL

CHANGE = {"task": "The Mac stays awake", "what": "pmset sleep", "before": "1", "after": "0", "sha256": "0" * 64}
PLAN = {
    "schema": 1,
    "plan": {"playbook": "provision.yaml", "only": ["power"], "vars": {"a": "1"}, "time": "2026-11-20T10:00:00+00:00"},
    "macs": [{"mac": "studio-1", "changes": [CHANGE]}],
}
RUN = [PLAN, {"made": CHANGE["task"], "mac": "studio-1"}, {"finished": "studio-1"}]
LOOKS = {
    "schema": 1,
    "macs": {
        "studio-1": {
            "latest": {"at_s": 1.0, "starts": 3, "newest_start": "Thu Nov 19 11:14", "panics": ["p.panic"], "runs": {"agent": 1}},
            "samples": [[1.0, 24_000_000_000_000, 1]],
        }
    },
}
HEAD = {"time": "2026-11-20T10:00:00+00:00", "id": 7, "who": "ada@laptop"}
JOURNAL = [
    {**HEAD, "event": "provision-begun", "macs": {"studio-1": 1}, "playbook": "provision.yaml"},
    {**HEAD, "event": "provision", "mac": "studio-1", "changes": ["pmset sleep 1 → 0"], "error": None},
    {
        **HEAD,
        "event": "verify",
        "macs": ["studio-1"],
        "outcomes": {"ok": 1},
        "exit_code": 0,
        "findings": [{"on": "studio-1", "check": "power", "verdict": "fail", "have": "sleep 1"}],
        "seen": {"macs": {"studio-1": {"power": [["fail", "sleep 1"]]}}, "fleet": {"cabling": [["ok", "3 cables"]]}},
    },
]
INVENTORY = """\
fleet:
  name: shelf
  user: admin
  settings:
    wired_limit: 448 GiB
    power: {sleep_min: 0, power_on: after-failure}
    interconnect: {topology: mesh, network: 10.55.0.0/16}
macs:
  studio-1: {address: 10.0.0.1, hardware: mac-studio-m3-ultra, memory: 512 GiB, tags: [a]}
  studio-2: {address: 10.0.0.2, port: 2222, hardware: "Mac15,14", memory: 512 GiB}
services:
  chat: {model: deepseek-v3, macs: [studio-1, studio-2], port: 9000}
"""
PLAYBOOK = """\
name: Notes
vars: {folder: /opt/notes}
serial: 50%
max_failures: 1
tasks:
  - name: There is a folder
    tags: [notes]
    when: mac.name != "studio-2"
    directory: {paths: ["{{ vars.folder }}"], mode: "755"}
    notify: [Tell]
handlers:
  - name: Tell
    command: {argv: ["true"], unless: ["false"]}
"""


def lined(entries):
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)


def read_looks(text, folder):
    (folder / looks.FILE_NAME).write_text(text)
    return looks.load_kept(folder, 0.0)


def read_journal(text, folder):
    """Everything that `history` and `verify --since` make of it."""
    (folder / "journal.jsonl").write_text(text)
    entries = Journal(folder / "journal.jsonl").entries()
    runs = runs_of(entries)
    said = [(run.as_json(), run.what, run.who, run.sentence(), run.ended - run.began) for run in runs]
    return said, [list(lines_of(entry)) for run in runs for entry in run.entries], find_run(entries, "last")


DOCUMENTS = {
    "a saved plan": (json.dumps(PLAN), lambda text, folder: parse_plan(text, "plan.json")),
    "an unfinished run": (lined(RUN), lambda text, folder: parse_run(text, folder / "run.jsonl")),
    "earlier looks": (json.dumps(LOOKS), read_looks),
    "the journal": (lined(JOURNAL), read_journal),
    "a verify in the journal": (json.dumps(JOURNAL[2]), read_journal),
    "a rolling reboot": (render_roll(ROLL), lambda text, folder: parse_roll(text, "roll.json")),
    "an inventory": (INVENTORY, lambda text, folder: load_inventory(Path("inventory.yaml"), text)),
    "a playbook": (PLAYBOOK, lambda text, folder: load_playbook(text, "notes.yaml")),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_mangled_document_is_understood_or_refused_in_a_sentence(name, tmp_path):
    text, read = DOCUMENTS[name]

    stumbled = {what: said for what, mangled in everything(text) if (said := stumble(read, mangled, tmp_path))}

    assert stumbled == {}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_itself_is_understood(name, tmp_path):
    text, read = DOCUMENTS[name]

    assert read(text, tmp_path)


def stumble(read, text, folder):
    """The exception that is no sentence for an operator; empty when there is none."""
    try:
        read(text, folder)
    except MacfleetError as error:
        return "" if str(error) else "an error without a word"
    except Exception as error:
        return repr(error)
    return ""
