import json
import os
import stat
import subprocess

import pytest

from macfleet.core.change import Change
from macfleet.core.command import command
from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.core.paths import MacPaths
from macfleet.macos import ledger
from macfleet.macos.ledger import Entry
from tests.macos.recordings import answer

SLEEP = Entry("pmset sleep", (("sudo", "-n", "pmset", "-a", "sleep", "1"),), "1", "provision", "2026-11-20T03:12:40+00:00")


class Sh:
    """This machine's own shell, with a `sudo` that only runs what it is given."""

    def __init__(self, folder):
        self.root = folder / "root"
        self.root.mkdir()
        self.paths = MacPaths(str(self.root))
        (folder / "bin").mkdir()
        sudo = folder / "bin/sudo"
        sudo.write_text('#!/bin/sh\nshift; exec "$@"\n')
        sudo.chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}

    def run(self, *commands):
        for each in commands:
            subprocess.run(["sh", "-c", each.shell()], input=each.stdin, env=self.environment, check=True, capture_output=True)

    @property
    def file(self):
        return self.root / "var/db/macfleet/ledger.jsonl"

    def entries(self):
        return ledger.parse_ledger(self.file.read_text())


@pytest.fixture
def mac(tmp_path):
    return Sh(tmp_path)


def test_what_is_recorded_can_be_read_again(mac):
    strange = Entry('file "/etc/ä\\b"', (("rm", "-f", "a\nb", "$HOME"),), "absent", "run own.yaml", SLEEP.time)

    mac.run(ledger.record(mac.paths, [SLEEP]), ledger.record(mac.paths, [strange]))

    assert mac.entries() == (SLEEP, strange)


def test_only_root_may_read_it(mac):
    mac.run(ledger.record(mac.paths, [SLEEP]))

    assert stat.S_IMODE(mac.file.stat().st_mode) == 0o600


def test_the_first_entry_of_a_thing_wins(mac):
    later = Entry("pmset sleep", (("sudo", "-n", "pmset", "-a", "sleep", "5"),), "5", "provision", SLEEP.time)

    mac.run(ledger.record(mac.paths, [SLEEP]), ledger.record(mac.paths, [later]))

    assert mac.entries() == (SLEEP,)


def test_a_line_that_was_cut_short_is_no_entry_and_spoils_no_other(mac):
    mac.run(ledger.record(mac.paths, [SLEEP]))
    with mac.file.open("a") as file:
        file.write('{"what": "pmset womp", "un')
    cut = mac.entries()

    mac.run(ledger.record(mac.paths, [Entry("pmset womp", (("true",),), "1", "provision", SLEEP.time)]))

    assert cut == (SLEEP,)
    assert [entry.what for entry in mac.entries()] == ["pmset sleep", "pmset womp"]


def test_taking_back_runs_the_undo_and_strikes_the_entry_out(mac):
    told = mac.root / "told"
    entry = Entry("a thing", (("sudo", "-n", "touch", str(told)), ("test", "-e", str(told))), "absent", "provision", SLEEP.time)
    mac.run(ledger.record(mac.paths, [SLEEP, entry]))

    mac.run(ledger.take_back(mac.paths, entry))

    assert told.exists()
    assert mac.entries() == (SLEEP,)


def test_what_could_not_be_taken_back_is_still_in_the_ledger(mac):
    entry = Entry("a thing", (("false",), ("true",)), "absent", "provision", SLEEP.time)
    mac.run(ledger.record(mac.paths, [entry]))

    with pytest.raises(subprocess.CalledProcessError):
        mac.run(ledger.take_back(mac.paths, entry))

    assert mac.entries() == (entry,)


def test_a_thing_that_is_changed_again_after_it_was_taken_back_counts_anew(mac):
    harmless = Entry("a thing", (("true",),), "absent", "provision", SLEEP.time)
    mac.run(ledger.record(mac.paths, [harmless]), ledger.take_back(mac.paths, harmless), ledger.record(mac.paths, [harmless]))

    assert mac.entries() == (harmless,)


def test_the_last_steps_need_root_but_once(mac):
    told = mac.root / "told"
    first = Entry("a thing", (("sudo", "-n", "touch", str(told)),), "absent", "enroll", SLEEP.time)
    second = Entry("sudoers", (("sudo", "-n", "rm", "-f", str(mac.root / "sudoers")),), "absent", "enroll", SLEEP.time)
    mac.run(ledger.record(mac.paths, [first, second]))

    last = ledger.take_back_as_root(mac.paths, [second, first], then="true")
    mac.run(last)

    assert last.sudo
    assert "sudo" not in last.argv[-1].replace("sudoers", "")
    assert told.exists()
    assert mac.entries() == ()


def test_a_change_without_undo_is_not_recorded_and_one_that_wants_a_stdin_is_refused():
    assert ledger.entry_of(Change("x", "a", "b", (command("true"),)), "provision", "now") is None
    with pytest.raises(ValueError, match="wants a stdin"):
        ledger.entry_of(Change("x", "a", "b", (), (command("tee", "f", stdin=b"old"),)), "provision", "now")


def test_an_undo_is_kept_as_whoever_logs_in_would_type_it():
    entry = ledger.entry_of(Change("x", "a", "b", (), (command("pmset", "1", sudo=True), command("brew", "2"))), "provision", "now")

    assert entry.undo == (("sudo", "-n", "pmset", "1"), ("brew", "2"))


def test_no_ledger_is_an_answer_and_no_permission_is_unknown():
    fact = ledger.ledger(MacPaths())

    assert answer(fact, (1, "", "cat: /var/db/macfleet/ledger.jsonl: No such file or directory")) == ()
    assert isinstance(answer(fact, (1, "", "sudo: a password is required")), Unknown)


@pytest.mark.parametrize("line", ["x", "[]", "{}", '{"what": "x", "undo": [[]], "before": "", "by": "", "time": ""}'])
def test_another_line_than_an_entry_is_refused(line):
    good = json.dumps(SLEEP.as_json())

    with pytest.raises(Unparsable, match="line 2 is no"):
        ledger.parse_ledger(f"{good}\n{line}\n")
