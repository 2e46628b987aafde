"""The journal beside the inventory."""

import pytest

from macfleet.core.clock import HandClock
from macfleet.core.errors import MacfleetError
from macfleet.core.secret import Secret
from macfleet.fleet.journal import Journal


def test_what_was_done_is_kept_in_order(tmp_path):
    journal = Journal(tmp_path / ".macfleet" / "journal.jsonl", HandClock(1_790_000_000))

    journal.write("provision", mac="studio-1", changes=2)
    journal.write("reboot", mac="studio-2")

    assert journal.entries() == [
        {"time": "2026-09-21T14:13:20+00:00", "event": "provision", "mac": "studio-1", "changes": 2},
        {"time": "2026-09-21T14:13:20+00:00", "event": "reboot", "mac": "studio-2"},
    ]


def test_a_line_cut_by_a_full_disk_does_not_hide_the_others(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", HandClock())
    journal.write("one")
    with journal.path.open("a") as file:
        file.write('{"time": "2026')

    assert [entry["event"] for entry in journal.entries()] == ["one"]


def test_a_secret_is_not_written_down(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", HandClock())

    journal.write("login", key=Secret("hush"))

    assert "hush" not in journal.path.read_text()


def test_no_journal_yet_is_an_empty_one(tmp_path):
    assert Journal(tmp_path / "journal.jsonl").entries() == []


def test_a_journal_that_cannot_be_written_says_where(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(MacfleetError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal.jsonl", HandClock()).write("x")
