import io
import json
import threading

from macfleet.cli.output import Output
from macfleet.core.errors import MacfleetError
from macfleet.core.finding import Finding, Verdict
from macfleet.core.outcome import Outcome


def spoken(**options):
    stdout, stderr = io.StringIO(), io.StringIO()
    return Output(stdout=stdout, stderr=stderr, **options), stdout, stderr


def test_the_answer_goes_to_stdout_and_the_conversation_to_stderr():
    output, stdout, stderr = spoken()

    output.answer("studio-1  ok")
    output.talk("reading")

    assert stdout.getvalue() == "studio-1  ok\n"
    assert stderr.getvalue() == "reading\n"


def test_quiet_silences_talk_but_never_the_answer_or_an_error():
    output, stdout, stderr = spoken(quiet=True)

    output.answer("studio-1  ok")
    output.talk("reading")
    output.warn("slow")
    output.error(MacfleetError("studio-2 did not come back"))

    assert stdout.getvalue() == "studio-1  ok\n"
    assert stderr.getvalue() == "error: studio-2 did not come back\n"


def test_an_error_says_what_is_true_now_and_what_to_do():
    output, _, stderr = spoken()

    output.error(
        MacfleetError(
            "studio-2 did not come back after its reboot",
            mac="studio-2",
            truths=["studio-1 is done; studio-3 was not touched"],
            hint="check its power, then run `macfleet rolling-reboot --resume`",
        )
    )

    assert stderr.getvalue().splitlines() == [
        "error: studio-2 did not come back after its reboot",
        "  studio-1 is done; studio-3 was not touched",
        "  hint: check its power, then run `macfleet rolling-reboot --resume`",
    ]


def test_a_finding_that_is_not_as_wanted_says_want_why_and_hint():
    output, stdout, _ = spoken()

    output.finding(Finding("power", Verdict.FAIL, "sleep 1", "sleep 0", "a Mac that sleeps serves nobody", "run `macfleet provision`"))

    words = [" ".join(line.split()) for line in stdout.getvalue().splitlines()]
    assert words == [
        "power fail sleep 1",
        "want: sleep 0",
        "why: a Mac that sleeps serves nobody",
        "hint: run `macfleet provision`",
    ]


def test_long_lines_and_square_brackets_are_printed_as_they_are():
    output, stdout, _ = spoken()
    line = "[red]not markup[/red] " + "x" * 300

    output.answer(line)

    assert stdout.getvalue() == line + "\n"


def test_json_is_whole_and_without_colour():
    output, stdout, _ = spoken(json_wanted=True)

    output.json({"schema": 1, "macs": ["büro-1"]})

    assert json.loads(stdout.getvalue()) == {"schema": 1, "macs": ["büro-1"]}
    assert "büro-1" in stdout.getvalue()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_live_line_is_gone_before_a_question_is_asked():
    stderr = Terminal()
    output, pause = Output(stdout=io.StringIO(), stderr=stderr), threading.Event()

    with output.watching() as watcher:
        watcher.started("studio-1", "reading")
        pause.wait(0.3)
        watcher.finished("studio-1", Outcome("studio-1"))
        watcher.rest()
        shown = stderr.getvalue()
        pause.wait(0.3)

        assert stderr.getvalue() == shown


def test_on_a_terminal_an_answer_stands_above_the_live_line():
    stdout, stderr = Terminal(), Terminal()
    output, pause = Output(stdout=stdout, stderr=stderr), threading.Event()

    with output.watching() as watcher:
        watcher.started("studio-1", "following its logs")
        while not watcher.is_live:
            pause.wait(0.01)
        output.answer("a line of the log")
    output.answer("the end")

    assert "a line of the log" in stderr.getvalue()
    assert stdout.getvalue() == "the end\n"


def test_an_answer_that_goes_elsewhere_stays_on_stdout_whatever_is_on_the_terminal():
    stdout, stderr = io.StringIO(), Terminal()
    output, pause = Output(stdout=stdout, stderr=stderr), threading.Event()

    with output.watching() as watcher:
        watcher.started("studio-1", "reading")
        while not watcher.is_live:
            pause.wait(0.01)
        output.answer("studio-1  ok")

    assert stdout.getvalue() == "studio-1  ok\n"


def test_on_a_terminal_every_mac_at_work_has_a_line():
    stderr = Terminal()
    output, pause = Output(stdout=io.StringIO(), stderr=stderr), threading.Event()

    with output.watching() as watcher:
        watcher.started("studio-1", "reading")
        watcher.started("studio-2", "pmset sleep 1 → 0")
        while "pmset" not in stderr.getvalue():
            pause.wait(0.01)

    assert "studio-1  reading" in stderr.getvalue()
    assert "studio-2  pmset sleep 1 → 0" in stderr.getvalue()


def test_a_line_that_is_wider_than_the_terminal_is_cut_and_never_wrapped(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    output = Output(stdout=io.StringIO(), stderr=Terminal())

    with output.watching() as watcher:
        watcher.started("studio-1", "x" * 300 + "\ny")
        shown = watcher._lines()

    assert max(len(line) for line in shown.plain.splitlines()) <= 40
    assert "…" in shown.plain
    assert "y" not in shown.plain


def test_quiet_draws_no_lines():
    stderr = Terminal()
    output = Output(stdout=io.StringIO(), stderr=stderr, quiet=True)

    with output.watching() as watcher:
        watcher.started("studio-1", "reading")
        watcher.finished("studio-1", Outcome("studio-1"))

    assert stderr.getvalue() == ""
