"""The journal beside the inventory."""

import json
import threading

import pytest

from macfleet.core.clock import HandClock
from macfleet.core.errors import MacfleetError
from macfleet.core.secret import Secret
from macfleet.fleet.journal import Journal


def test_what_was_done_is_kept_in_order(tmp_path):
    journal = Journal(tmp_path / ".macfleet" / "journal.jsonl", HandClock(1_790_000_000), "anna@laptop")

    journal.write("provision", mac="studio-1", changes=2)
    journal.write("reboot", mac="studio-2")

    head = {"time": "2026-09-21T14:13:20+00:00", "id": 1, "who": "anna@laptop"}
    assert journal.entries() == [
        {**head, "event": "provision", "mac": "studio-1", "changes": 2},
        {**head, "event": "reboot", "mac": "studio-2"},
    ]


def test_every_run_has_a_number_of_its_own_also_when_an_older_one_goes_on(tmp_path):
    older, newer = (Journal(tmp_path / "journal.jsonl", HandClock()) for _ in range(2))
    older.write("one")
    newer.write("two")
    older.write("one goes on")

    latest = Journal(tmp_path / "journal.jsonl", HandClock())
    latest.write("three")

    assert [entry["id"] for entry in latest.entries()] == [1, 2, 1, 3]
    assert latest.id == 3


def test_runs_that_begin_in_the_same_moment_take_different_numbers(tmp_path):
    journals = [Journal(tmp_path / "journal.jsonl", HandClock()) for _ in range(8)]

    threads = [threading.Thread(target=journal.write, args=("run",)) for journal in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(entry["id"] for entry in journals[0].entries()) == list(range(1, 9))


def test_a_text_that_looks_like_a_number_of_a_run_is_none(tmp_path):
    Journal(tmp_path / "journal.jsonl", HandClock()).write("one", error='"id": 99, "who"')
    second = Journal(tmp_path / "journal.jsonl", HandClock())
    second.write("two")

    assert second.id == 2


def test_a_strange_line_break_in_a_text_breaks_no_line(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", HandClock())

    journal.write("one", error="a\u2028b\x85c\nd")

    assert [entry["error"] for entry in journal.entries()] == ["a\u2028b\x85c\nd"]


def test_a_line_after_one_that_was_cut_is_whole(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", HandClock())
    journal.path.write_text('{"time": "2026')

    journal.write("two")

    assert [entry["event"] for entry in journal.entries()] == ["two"]


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


def in_short(tmp_path):
    """A journal that one line of 100 bytes and more fills."""
    return Journal(tmp_path / "journal.jsonl", HandClock(), "anna@laptop", most_bytes=200)


def test_a_full_journal_begins_anew_and_the_one_before_is_still_told(tmp_path):
    for number in range(1, 6):
        in_short(tmp_path).write(f"run {number}", note="x" * 50)

    last = in_short(tmp_path)
    assert [(entry["id"], entry["event"]) for entry in last.entries()] == [(3, "run 3"), (4, "run 4"), (5, "run 5")]
    last.write("run 6", note="x" * 50)
    assert [entry["id"] for entry in last.entries()] == [5, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["journal.old.jsonl"]


def test_a_run_that_goes_on_in_the_next_journal_takes_nobody_s_number(tmp_path):
    older, newer = in_short(tmp_path), in_short(tmp_path)
    older.write("one")
    newer.write("two", note="x" * 100)
    older.write("one goes on")

    latest = in_short(tmp_path)
    latest.write("three")

    assert [entry["id"] for entry in latest.entries()] == [1, 2, 1, 3]
    assert (latest.has(1), latest.has(2), latest.has(3)) == (True, False, True)


def test_runs_that_fill_one_journal_after_another_at_once_lose_no_line_and_no_number(tmp_path):
    path = tmp_path / "journal.jsonl"
    one_line = len(json.dumps({"time": "1970-01-01T00:00:00+00:00", "event": "run", "id": 10, "who": "anna@laptop"})) + 1
    journals = [Journal(path, HandClock(), "anna@laptop", most_bytes=30 * one_line) for _ in range(40)]

    threads = [threading.Thread(target=journal.write, args=("run",)) for journal in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(entry["id"] for entry in journals[0].entries()) == list(range(1, 41))


def test_a_journal_that_cannot_be_written_says_where(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(MacfleetError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal.jsonl", HandClock()).write("x")
