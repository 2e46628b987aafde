"""command: looks before it runs, and after."""

import subprocess

import pytest

from macfleet.core.errors import PlaybookError
from macfleet.modules.command_ import CommandModule
from tests.modules.memory_mac import MAC, MemoryMac
from tests.modules.play import AROUND, plan, play, tasks

SCRATCH = "command: {argv: [mkdir, -p, /scratch], unless: [test, -d, /scratch], undo: [rmdir, /scratch], root: true}"


def test_where_unless_ends_well_nothing_is_done():
    memory = MemoryMac()
    play(memory, SCRATCH)

    assert plan(memory, SCRATCH).is_as_wanted


def test_what_is_run_and_why_is_said():
    assert play(MemoryMac(), SCRATCH)[0] == ["command sudo -n mkdir -p /scratch `test` ends with 1 → done"]


def test_a_command_that_does_not_close_the_difference_is_seen():
    _, left = play(MemoryMac(), "command: {argv: [mkdir, -p, /elsewhere], unless: [test, -d, /scratch]}")

    assert not left.is_as_wanted


def test_an_unless_that_cannot_be_run_says_nothing():
    made = plan(MemoryMac(), "command: {argv: [mkdir, /scratch], unless: [no-such-program]}")

    assert not made.changes
    assert "no-such-program" in made.unknown[0][1].reason


def test_a_handler_runs_whatever_unless_says():
    memory = MemoryMac()
    play(memory, SCRATCH)
    [filled] = tasks(SCRATCH)
    facts = memory.ask(filled.task.module.facts(filled.args, MAC))

    [change] = CommandModule().again(filled.args, MAC, facts, AROUND)

    assert change.commands[0].argv == ("mkdir", "-p", "/scratch")


def test_it_is_taken_back_only_where_it_was_done(tmp_path):
    scratch = tmp_path / "a b"
    task = f"command: {{argv: [mkdir, '{scratch}'], unless: [test, -d, '{scratch}'], undo: [rmdir, '{scratch}']}}"
    [(_, change)] = plan(MemoryMac(), task).changes
    scratch.mkdir()

    for command in (*change.undo, *change.undo):
        subprocess.run(command.argv, check=True)

    assert not scratch.exists()


@pytest.mark.parametrize("wrong", ["argv: [true]", "unless: [true]", "argv: [], unless: [true]", "argv: [a], unless: [b], timeout: 5"])
def test_a_command_without_a_question_is_refused(wrong):
    with pytest.raises(PlaybookError, match=r"x\.yaml:"):
        plan(MemoryMac(), f"command: {{{wrong}}}")
