"""The entry point: what ends a command, and how it is said."""

import os
import subprocess
import sys

import pytest

CTRL_C_WHILE_LOADING = """
import sys

class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "typer" and not self.was_pressed:
            Pressed.was_pressed = True
            raise KeyboardInterrupt
    was_pressed = False

sys.meta_path.insert(0, Pressed())
from macfleet.cli.app import main
main()
"""

CTRL_C_BEHIND_THE_END = """
import atexit, os, signal
atexit.register(os.kill, os.getpid(), signal.SIGINT)
from macfleet.cli.app import main
main()
"""

MACFLEET = "from macfleet.cli.app import main; main()"


def test_ctrl_c_while_the_command_line_is_loaded_is_a_sentence_and_130():
    ended = subprocess.run([sys.executable, "-c", CTRL_C_WHILE_LOADING], capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.startswith("error: interrupted\n")
    assert "Traceback" not in ended.stderr


def test_ctrl_c_behind_the_end_changes_nothing_any_more():
    ended = subprocess.run([sys.executable, "-c", CTRL_C_BEHIND_THE_END, "--version"], capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stdout.split()[0], ended.stderr) == (0, "macfleet", "")


@pytest.mark.parametrize("command", [["lab", "fault"], ["inventory", "schema"]], ids=" ".join)
def test_an_answer_that_nobody_reads_is_no_finding(command):
    reader, writer = os.pipe()
    os.close(reader)

    ended = subprocess.run([sys.executable, "-c", MACFLEET, *command], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)

    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_folder_that_cannot_be_made_is_a_sentence_about_this_machine(tmp_path):
    (tmp_path / "file").touch()

    ended = subprocess.run(
        [sys.executable, "-c", MACFLEET, "lab", "up", "--dir", str(tmp_path / "file/lab")], capture_output=True, text=True, timeout=60
    )

    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith(f"error: {tmp_path}/file/lab: Not a directory\n  hint: this is about the machine")
