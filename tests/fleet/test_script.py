"""The framed script, run by the shells that a Mac (bash in its POSIX mode) and a lab on Debian (dash) call `sh`."""

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

    def __init__(self, shell, commands, manner, *, slowly=False, **options):
        self.wait_s = 0.5 if slowly else 0.0
        self.script = render_script(commands, manner, tick_s=0.1, **options)
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
    assert not is_alive(int((tmp_path / "pid").read_text()))


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


def test_reading_works_without_a_place_for_temporary_files(shell, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/nowhere")

    assert [reply.stdout for reply in shell([command("echo", "x")] * 3, Manner.SIDE_BY_SIDE)] == [b"x\n"] * 3


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

    wait_until(lambda: not is_alive(int(pid_file.read_text())), "the command has ended")
    running.end()


def test_a_login_shell_that_chatters_is_not_understood_as_an_answer():
    script = render_script([command("echo", "x")])
    answer = Answer(script)

    answer.feed(stdout=b"Welcome!\n" + script.nonce + b" begin\nx\n" + script.nonce + b" 0 0 done 0\n")
    (reply,) = answer.feed(stderr=script.nonce + b" begin\n" + script.nonce + b" 0 0 done 0\n")

    assert reply.stdout == b"x\n"


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
