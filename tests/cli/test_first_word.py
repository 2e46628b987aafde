"""What stands on a terminal before the libraries are loaded."""

import os
import pty
import subprocess
import sys

import pytest

MACFLEET = (sys.executable, "-c", "from macfleet.cli.app import main; main()")


def shown(tmp_path, *words):
    """Everything that a terminal gets from a command whose inventory is missing."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen([*MACFLEET, *words], stdin=its_end, stdout=its_end, stderr=its_end, cwd=tmp_path, start_new_session=True)
    os.close(its_end)
    said = b""
    try:
        while data := os.read(terminal, 4096):
            said += data
    except OSError:  # Linux's way to say that nobody is at the other end any more
        pass
    process.wait(30)
    os.close(terminal)
    return said.decode()


def test_a_command_that_has_much_to_load_says_first_that_it_starts_and_takes_that_back(tmp_path):
    said = shown(tmp_path, "verify")

    first, _, rest = said.partition("\x1b[K")
    assert first == "verify: starting\r"
    assert "there is no inventory at" in rest


@pytest.mark.parametrize("words", [("verify", "--quiet"), ("lock", "show")])
def test_others_say_nothing_before_they_have_something_to_say(tmp_path, words):
    assert "starting" not in shown(tmp_path, *words)
