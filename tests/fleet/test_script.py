"""The framed script, run by the shells that a Mac (bash in its POSIX mode) and a lab on Debian (dash) call `sh`."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.command import command
from macfleet.core.secret import Secret
from macfleet.fleet.lanes import share_out
from macfleet.fleet.script import Answer, Manner, render_script
from tests.fleet.sshd import wait_until
from tests.processes import is_alive

SHELLS = [("dash",), ("bash", "--posix")]


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request):
    """`shell(commands, manner)` → replies by index, as the Mac's `sh` gives them."""
    return lambda commands, manner=Manner.IN_ORDER, **options: run(request.param, commands, manner, **options)


class Running:
    """A script under way in a local shell, without a terminal, its answer understood as it comes."""

    def __init__(self, shell, commands, manner, *, slowly=False, tick_s=0.1, prelude="", **options):
        self.wait_s = 0.5 if slowly else 0.0
        script = render_script(commands, manner, tick_s=tick_s, **options)
        self.script = dataclasses.replace(script, text=prelude.encode() + script.text)
        self.answer = Answer(self.script)
        self.replies = {}
        bootstrap = self.script.bootstrap.replace("exec /bin/sh", "exec " + " ".join(shell))
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(["sh", "-c", bootstrap], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        self.process.stdin.write(self.script.text)
        self.process.stdin.flush()
        self.threads = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("stdout", self.process.stdout), ("stderr", self.process.stderr))
        ]
        self._lock = threading.Lock()
        for thread in self.threads:
            thread.start()

    def _read(self, name, stream):
        time.sleep(self.wait_s)
        while data := os.read(stream.fileno(), 65536):
            with self._lock:
                self.replies.update({reply.index: reply for reply in self.answer.feed(**{name: data})})

    def end(self, deadline_s=30):
        try:
            self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        for thread in self.threads:
            thread.join(deadline_s)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        return self.replies


def run(shell, commands, manner, **options):
    running = Running(shell, commands, manner, **options)
    replies = running.end()
    assert running.answer.is_complete
    return [reply for _, reply in sorted(replies.items())]


def wait_until_ended(pid_file):
    """A signal is sent when the reply comes; that it has ended the process too is seen a moment later."""
    pid = int(pid_file.read_text())
    wait_until(lambda: not is_alive(pid), f"process {pid} has ended")


def test_every_command_has_its_own_exit_status_stdout_and_stderr(shell):
    first, second, third = shell([command("echo", "one"), command("sh", "-c", "echo no >&2; exit 3"), command("echo", "three")])

    assert (first.exit_status, first.stdout, first.stderr) == (0, b"one\n", b"")
    assert (second.exit_status, second.stdout, second.stderr) == (3, b"", b"no\n")
    assert (third.exit_status, third.stdout) == (0, b"three\n")


@pytest.mark.parametrize("manner", [Manner.IN_ORDER, Manner.SIDE_BY_SIDE])
def test_output_comes_back_byte_for_byte(shell, manner):
    every_byte = bytes(range(256)) * 300

    replies = shell([command("cat", stdin=every_byte), command("sh", "-c", "cat >&2", stdin=every_byte), command("printf", "x")], manner)

    assert [reply.stdout for reply in replies] == [every_byte, b"", b"x"]
    assert replies[1].stderr == every_byte


@pytest.mark.parametrize("text", ["it's", '"$HOME" `id` $(id) \\', "two\nlines\n", "-n", "", "*", "ß→", "a\tb", "EOF\n", "x\x01y\x7f"])
def test_a_word_arrives_as_it_is(shell, text):
    argument, payload = shell([command("printf", "%s", text), command("cat", stdin=text.encode())])

    assert argument.stdout.decode() == text
    assert payload.stdout.decode() == text


def test_a_program_that_is_not_there_has_the_shells_exit_status(shell):
    missing, later = shell([command("no-such-program", "-x"), command("echo", "later")])

    assert (missing.exit_status, missing.stderr) == (127, b"no-such-program: command not found\n")
    assert later.stdout == b"later\n"


def test_a_function_of_the_script_is_not_a_program(shell):
    assert shell([command("mf_say", "x"), command("true")])[1].exit_status == 0


def test_a_command_killed_by_a_signal_says_which(shell):
    killed, alarmed = shell([command("sh", "-c", "kill -KILL $$"), command("sh", "-c", "kill -ALRM $$")])

    assert (killed.exit_status, killed.stderr) == (128 + signal.SIGKILL, b"")
    assert alarmed.exit_status == 128 + signal.SIGALRM


@pytest.mark.parametrize("manner", [Manner.IN_ORDER, Manner.SIDE_BY_SIDE])
def test_a_command_past_its_time_ends_with_all_it_started_and_the_next_ones_run(shell, manner, tmp_path):
    script = 'sleep 300 & echo $! >"$1"; echo said; sleep 300'
    slow, later = shell([command("sh", "-c", script, "sh", str(tmp_path / "pid"), timeout_s=0.2), command("echo", "later")], manner)

    assert slow.exit_status is None
    assert slow.reason == "was stopped: not done after its 0.2 s"
    assert slow.stdout == b"said\n"
    assert later.stdout == b"later\n"
    wait_until_ended(tmp_path / "pid")


def test_a_command_that_ignores_sigterm_is_killed(shell):
    stubborn, later = shell([command("sh", "-c", "trap '' TERM; while :; do sleep 300; done", timeout_s=0.2), command("echo", "later")])

    assert stubborn.exit_status is None
    assert later.stdout == b"later\n"


def test_what_a_command_leaves_in_the_background_is_not_waited_for(shell, tmp_path):
    pid_file = tmp_path / "pid"
    script = 'nohup sleep 300 >/dev/null 2>&1 & echo $! >"$1"'

    (reply,) = shell([command("sh", "-c", script, "sh", str(pid_file))])

    pid = int(pid_file.read_text())
    assert reply.exit_status == 0
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_apply_stops_behind_the_first_failure(shell):
    replies = shell([command("true"), command("false"), command("echo", "never")], Manner.STOP_AT_FAILURE)

    assert [reply.exit_status for reply in replies] == [0, 1]


def test_what_only_looks_goes_on_behind_a_failure_of_its_own_and_not_behind_one_of_the_changes(shell):
    looked = shell([command("true"), command("false"), command("echo", "seen")], Manner.STOP_AT_FAILURE, strict=1)
    failed = shell([command("false"), command("echo", "never")], Manner.STOP_AT_FAILURE, strict=1)

    assert [reply.exit_status for reply in looked] == [0, 1, 0]
    assert [reply.exit_status for reply in failed] == [1]


MEET = 'touch "$1"; until [ -e "$2" ]; do sleep 0.05; done; echo met'


def meeting(tmp_path):
    """Two commands that end only when they run at the same time."""
    left, right = str(tmp_path / "left"), str(tmp_path / "right")
    return command("sh", "-c", MEET, "sh", left, right, timeout_s=10), command("sh", "-c", MEET, "sh", right, left, timeout_s=10)


@pytest.mark.parametrize("manner", [Manner.IN_ORDER, Manner.STOP_AT_FAILURE])
def test_what_only_looks_goes_side_by_side_between_what_comes_before_and_behind_it(shell, manner, tmp_path):
    seen = str(tmp_path / "seen")
    before = [command("touch", seen), command("cat", stdin=b"x")]
    looks = [*meeting(tmp_path), command("rm", seen), command("cat", stdin=b"y")]
    last = [command("ls", seen), command("echo", "last")]

    replies = shell([*before, *looks, *last], manner, strict=2, looks=range(2, 6))

    assert [reply.exit_status for reply in replies] == [0, 0, 0, 0, 0, 0, 2, 0]
    assert [reply.stdout for reply in replies] == [b"", b"x", b"met\n", b"met\n", b"", b"y", b"", b"last\n"]


def test_nobody_looks_behind_a_change_that_failed(shell):
    replies = shell([command("false"), *[command("echo", "never")] * 3], Manner.STOP_AT_FAILURE, strict=1, looks=range(1, 3))

    assert [reply.exit_status for reply in replies] == [1]


def test_a_deadline_is_kept_before_among_and_behind_what_looks(shell):
    slow = command("sleep", "300", timeout_s=0.2)

    replies = shell([slow, slow, command("echo", "x"), slow, command("echo", "y")], looks=range(1, 3))

    assert [reply.exit_status for reply in replies] == [None, None, 0, None, 0]


def test_a_tick_at_the_very_end_of_a_command_does_not_lose_its_exit_status(shell):
    # Ticks as often as commands: nearly every script has a command that ends while its shell is about to be woken.
    commands = [command("sh", "-c", f"sleep 0.0{number % 3}; exit {number % 3}", timeout_s=2) for number in range(40)]

    replies = shell(commands, tick_s=0.01)

    assert [(reply.exit_status, reply.reason) for reply in replies] == [(number % 3, "") for number in range(40)]


FORGETFUL = 'wait() { command wait "$@"; mf_tick; return 142; }\n'  # what bash's `wait` does in that moment


@pytest.mark.parametrize("manner", [Manner.IN_ORDER, Manner.SIDE_BY_SIDE])
def test_an_exit_status_that_bash_has_lost_is_the_commands_own(manner):
    commands = [command("cat", stdin=b"x"), command("sh", "-c", "printf y; exit 142"), command("no-such"), command("true")]

    replies = run(("bash", "--posix"), commands, manner, prelude=FORGETFUL)

    assert [(reply.exit_status, reply.stdout) for reply in replies] == [(0, b"x"), (142, b"y"), (127, b""), (0, b"")]


def test_apply_stops_behind_a_failure_whose_exit_status_bash_has_lost():
    commands = [command("true"), command("sh", "-c", "exit 3"), command("echo", "never")]

    replies = run(("bash", "--posix"), commands, Manner.STOP_AT_FAILURE, prelude=FORGETFUL)

    assert [reply.exit_status for reply in replies] == [0, 3]


def test_apply_stops_behind_a_command_whose_own_shell_was_killed():
    replies = run(("bash", "--posix"), [command("sh", "-c", "kill -KILL $PPID"), command("echo", "never")], Manner.STOP_AT_FAILURE)

    assert [reply.exit_status for reply in replies] == [128 + signal.SIGKILL]


def test_an_exit_status_that_nobody_knows_is_none():
    (reply,) = run(("bash", "--posix"), [command("sh", "-c", "kill -KILL $PPID")], Manner.IN_ORDER, prelude=FORGETFUL)

    assert (reply.exit_status, reply.reason) == (None, "has ended, but was killed before it could say how")


STUBBORN = "trap '' TERM; echo $$ >\"$1\"; while :; do sleep 0.1; done"


@pytest.mark.parametrize("stdin", [None, b"x"])
def test_a_stubborn_command_does_not_outlive_its_time(shell, stdin, tmp_path):
    pid_file = tmp_path / "pid"

    shell([command("sh", "-c", STUBBORN, "sh", str(pid_file), stdin=stdin, timeout_s=0.2), command("true")])

    wait_until_ended(pid_file)


# A process cannot be made immune to SIGKILL: here only bash's own shell of the command gets it.
HARMLESS = 'kill() { case $2 in KILL) [ "$own" = tree ] || command kill -s KILL "$p" ;; *) command kill "$@" ;; esac; }\n'


@pytest.mark.parametrize("shell_words", SHELLS, ids=" ".join)
def test_a_command_that_not_even_sigkill_ends_is_left_behind(shell_words, tmp_path):
    pid_file = tmp_path / "pid"
    commands = [command("sh", "-c", STUBBORN, "sh", str(pid_file), timeout_s=0.2), command("echo", "later")]
    running = Running(shell_words, commands, Manner.IN_ORDER, prelude=HARMLESS)

    wait_until(lambda: running.answer.is_complete, "the script has ended")

    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    stuck, later = running.end().values()
    assert stuck.reason == "hangs: not done after its 0.2 s, and not even SIGKILL ends it"
    assert later.stdout == b"later\n"


# Nor can it here: of the watcher's SIGKILLs only the one for its lane arrives.
HARMLESS_BESIDE_LANES = 'kill() { [ "$2" = KILL ] && [ "$3" != "$pid" ] || command kill "$@"; }\n'


@pytest.mark.parametrize("shell_words", SHELLS, ids=" ".join)
def test_a_reading_goes_on_behind_a_command_that_not_even_sigkill_ends(shell_words, tmp_path):
    pid_file = tmp_path / "pid"
    stubborn = command("sh", "-c", STUBBORN, "sh", str(pid_file), timeout_s=0.2)
    echoes = [command("echo", str(number), timeout_s=0.2) for number in range(11)]
    running = Running(shell_words, [stubborn, *echoes], Manner.SIDE_BY_SIDE, prelude=HARMLESS_BESIDE_LANES)

    wait_until(lambda: running.answer.is_complete, "the script has ended")

    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    stuck, *later = [reply for _, reply in sorted(running.end().items())]
    assert stuck.reason == "hangs: not done after its 0.2 s, and not even SIGKILL ends it"
    assert [reply.stdout for reply in later] == [b"%d\n" % number for number in range(11)]


def test_a_stubborn_command_of_a_reading_is_killed_and_its_neighbours_are_not(shell, tmp_path):
    pid_file = tmp_path / "pid"
    slow = [command("sh", "-c", "sleep 2.5; echo done", timeout_s=30) for _ in range(3)]

    stubborn, *others = shell([command("sh", "-c", STUBBORN, "sh", str(pid_file), timeout_s=0.2), *slow], Manner.SIDE_BY_SIDE)

    assert (stubborn.exit_status, stubborn.reason) == (None, "was stopped: not done after its 0.2 s")
    wait_until_ended(pid_file)
    assert [(reply.exit_status, reply.stdout) for reply in others] == [(0, b"done\n")] * 3
    assert all(reply.ticks > 0 for reply in others)


@given(st.lists(st.sampled_from([10.0, 30.0, 60.0, 600.0]), min_size=1, max_size=40))
def test_every_command_of_a_reading_is_in_one_lane_and_no_lane_is_empty(timeouts):
    lanes = share_out([command("true", timeout_s=timeout_s) for timeout_s in timeouts])

    assert sorted(index for lane in lanes for index in lane) == list(range(len(timeouts)))
    assert all(lanes)


def test_what_may_take_long_is_kept_apart():
    commands = [command("true"), command("profiler", timeout_s=120), command("true"), command("devices", timeout_s=120), command("true")]

    assert [lane for lane in share_out(commands) if 1 in lane or 3 in lane] == [[1], [3]]


def test_what_a_command_says_after_sigterm_is_its_own(shell):
    said, later = shell([command("sh", "-c", "trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done", timeout_s=0.2), command("true")])

    assert (said.exit_status, said.stdout, later.stdout) == (None, b"bye\n", b"")


def test_apply_stops_behind_a_timeout(shell):
    replies = shell([command("sleep", "300", timeout_s=0.2), command("echo", "never")], Manner.STOP_AT_FAILURE)

    assert [reply.exit_status for reply in replies] == [None]


def test_ticks_do_not_tear_the_frame_of_a_full_pipe(shell):
    replies = shell([command("head", "-c", "65536", "/dev/zero"), command("echo", "after")], slowly=True)

    assert [len(reply.stdout) for reply in replies] == [65536, 6]


def test_reading_goes_side_by_side_and_comes_back_in_order(shell, tmp_path):
    # Each of the two waits for the file that the other makes: one after the other they would both time out.
    meet = 'touch "$1"; until [ -e "$2" ]; do sleep 0.05; done; echo met'
    left, right = str(tmp_path / "left"), str(tmp_path / "right")
    commands = [
        command("sh", "-c", meet, "sh", left, right),
        *(command("echo", str(number)) for number in range(20)),
        command("sh", "-c", meet, "sh", right, left),
    ]

    replies = shell(commands, Manner.SIDE_BY_SIDE)

    assert [reply.stdout for reply in replies] == [b"met\n", *(b"%d\n" % number for number in range(20)), b"met\n"]


def test_reading_leaves_nothing_in_the_temporary_directory(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    shell([command("echo", "x")] * 3, Manner.SIDE_BY_SIDE)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("looks", [range(3), range(1, 3)])
def test_reading_works_without_a_place_for_temporary_files(shell, monkeypatch, looks):
    monkeypatch.setenv("TMPDIR", "/nowhere")

    assert [reply.stdout for reply in shell([command("echo", "x")] * 4, looks=looks)] == [b"x\n"] * 4


def test_the_search_path_is_appended_and_the_locale_is_c(shell, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")

    path, locale = shell([command("printenv", "PATH"), command("printenv", "LC_ALL")], search_path=("/opt/my brew/bin",))

    assert path.stdout.decode() == os.environ["PATH"] + ":/opt/my brew/bin\n"
    assert locale.stdout == b"C\n"


def test_commands_have_no_stdin_but_their_own(shell):
    assert [reply.stdout for reply in shell([command("cat"), command("cat", stdin=b"mine"), command("cat")])] == [b"", b"mine", b""]


def test_a_big_payload_that_nobody_reads_stops_nothing(shell):
    ignored, later = shell([command("true", stdin=b"x" * 500_000), command("echo", "later")])

    assert (ignored.exit_status, later.stdout) == (0, b"later\n")


LOOK = """
import os, pathlib, subprocess, sys
pid, seen = os.getpid(), b""
while pid > 1:  # itself and everything above it; other processes of the machine are nobody's business
    if sys.platform == "darwin":
        seen += subprocess.run(["ps", "-E", "-o", "args=", "-p", str(pid)], capture_output=True).stdout
        pid = int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True).stdout or 0)
    else:
        about = pathlib.Path("/proc") / str(pid)
        try:
            seen += (about / "cmdline").read_bytes() + (about / "environ").read_bytes()
        except PermissionError:
            break  # somebody else's: it is above the test itself
        pid = int((about / "stat").read_text().rpartition(")")[2].split()[1])
pathlib.Path(sys.argv[1]).write_bytes(seen)
sys.stdout.write(sys.stdin.read())
"""


def test_a_secret_is_seen_in_no_process_of_its_command(shell, tmp_path):
    secret = "tskey-auth-" + "very" + "secret"

    (reply,) = shell([command(sys.executable, "-c", LOOK, str(tmp_path / "seen"), stdin=Secret(secret))])

    assert reply.stdout.decode() == secret
    seen = (tmp_path / "seen").read_bytes()
    assert b"eval" in seen  # the script's own shell is among them
    assert secret.encode() not in seen


def test_a_secret_does_not_show_in_the_scripts_repr():
    assert "hush" not in repr(render_script([command("cat", stdin=Secret("hush"))]))


@pytest.mark.parametrize("shell_words", SHELLS, ids=" ".join)
@pytest.mark.parametrize("manner", [Manner.IN_ORDER, Manner.SIDE_BY_SIDE, Manner.ENDLESS])
def test_a_command_ends_when_its_operator_is_gone(shell_words, manner, tmp_path):
    pid_file = tmp_path / "pid"
    script = 'echo $$ >"$1.new"; mv "$1.new" "$1"; sleep 300 & wait'
    running = Running(shell_words, [command("sh", "-c", script, "sh", str(pid_file)), command("true")], manner)
    wait_until(pid_file.exists, "the command runs")

    running.process.stdin.close()

    wait_until_ended(pid_file)
    running.end()


def test_a_login_shell_that_chatters_is_not_understood_as_an_answer():
    script = render_script([command("echo", "x")])
    answer = Answer(script)

    answer.feed(stdout=b"Welcome!\n" + script.nonce + b" begin\nx\n" + script.nonce + b" 0 0 done 0\n")
    (reply,) = answer.feed(stderr=script.nonce + b" begin\n" + script.nonce + b" 0 0 done 0\n")

    assert reply.stdout == b"x\n"


def test_a_lost_exit_status_is_the_one_that_the_command_has_said():
    script = render_script([command("echo", "x"), command("echo", "y")])
    answer = Answer(script)
    lines = (b"begin\n", b"0 3\n", b"0 lost done 1\n", b"0 4\n", b"1 lost done 0\n")
    begin, said, lost, late, unsaid = (script.nonce + b" " + line for line in lines)

    answer.feed(stdout=begin + b"x" + said + b"behind\n" + lost + b"y" + late + b"\n" + unsaid)
    first, second = answer.feed(stderr=begin + lost + unsaid)

    assert (first.exit_status, first.stdout, first.reason) == (3, b"xbehind\n", "")
    assert (second.exit_status, second.stdout) == (None, b"y\n")


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(1, 7))
def test_an_answer_is_the_same_in_pieces_of_any_size(stdout, stderr, size):
    script = render_script([command("echo", "x")])
    answer = Answer(script)
    replies = []

    for name, data in (("stdout", stdout), ("stderr", stderr)):
        stream = script.nonce + b" begin\n" + data + script.nonce + b" 0 7 done 2\n" + script.nonce + b" end\n"
        for start in range(0, len(stream), size):
            replies += answer.feed(**{name: stream[start : start + size]})

    assert answer.is_complete
    assert [(reply.exit_status, reply.stdout, reply.stderr) for reply in replies] == [(7, stdout, stderr)]
