import io

import pytest

from macfleet.cli.exec_ import _said, _show
from macfleet.cli.folding import fold, name_macs
from macfleet.cli.output import Output
from macfleet.core.command import command
from macfleet.core.errors import Unreachable
from macfleet.core.outcome import Outcome, Report
from macfleet.core.result import Result


def test_macs_that_said_the_same_are_folded_in_the_order_they_were_asked():
    answers = {"studio-1": ["25F71"], "studio-2": ["25E100"], "studio-3": ["25F71"]}

    assert fold(answers) == [("25F71", ["studio-1", "studio-3"]), ("25E100", ["studio-2"])]


def test_what_one_mac_says_between_two_things_stays_between_them():
    answers = {"studio-1": ["sleep", "runtime"], "studio-2": ["sleep", "tailscale", "runtime"]}

    assert fold(answers) == [
        ("sleep", ["studio-1", "studio-2"]),
        ("tailscale", ["studio-2"]),
        ("runtime", ["studio-1", "studio-2"]),
    ]


@pytest.mark.parametrize(
    ("macs", "of", "text"),
    [(["a"], 4, "a"), (["a", "b"], 4, "a and b"), (["a", "b", "c"], 3, "all 3 Macs"), (["a", "b"], 2, "a and b"), (["a"], 1, "a")],
)
def test_macs_are_named_until_they_are_all_of_them(macs, of, text):
    assert name_macs(macs, of) == text


def test_a_failed_command_shows_its_exit_status_behind_what_it_said():
    assert _said(Result(command("false"), 1, "out\n", "err\n")) == "out\nerr\n[exit status 1]"


def test_a_command_that_never_ended_says_why():
    assert _said(Result(command("sleep", "99"), None, reason="did not end within 1 s")) == "[did not end within 1 s]"


def test_silence_is_said():
    assert _said(Result(command("true"), 0)) == "(no output)"


def test_many_macs_that_answer_alike_are_one_line_of_names():
    stdout, stderr = io.StringIO(), io.StringIO()
    same = Result(command("sw_vers"), 0, "26.1\n")
    answered = [Outcome(f"studio-{number}", same) for number in range(1, 63)]
    silent = [Outcome(mac, error=Unreachable(f"{mac} does not answer")) for mac in ("studio-63", "studio-64")]

    _show(Output(stdout=stdout, stderr=stderr), Report((*answered, *silent)))

    assert stdout.getvalue() == "studio-[1-62]\n  26.1\n"
    assert stderr.getvalue() == "error: studio-63 does not answer\n  the same on studio-64\n"
