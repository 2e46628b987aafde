from macfleet.cli.exec_ import _said, fold
from macfleet.core.command import command
from macfleet.core.result import Result


def test_macs_that_said_the_same_are_folded_in_the_order_they_were_asked():
    answers = {"studio-1": "25F71", "studio-2": "25E100", "studio-3": "25F71"}

    assert fold(answers) == [(["studio-1", "studio-3"], "25F71"), (["studio-2"], "25E100")]


def test_a_failed_command_shows_its_exit_status_behind_what_it_said():
    assert _said(Result(command("false"), 1, "out\n", "err\n")) == "out\nerr\n[exit status 1]"


def test_a_command_that_never_ended_says_why():
    assert _said(Result(command("sleep", "99"), None, reason="did not end within 1 s")) == "[did not end within 1 s]"


def test_silence_is_said():
    assert _said(Result(command("true"), 0)) == "(no output)"
