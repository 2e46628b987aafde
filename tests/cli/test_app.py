"""The entry point: what ends a command, and how it is said."""

import subprocess
import sys

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


def test_ctrl_c_while_the_command_line_is_loaded_is_a_sentence_and_130():
    ended = subprocess.run([sys.executable, "-c", CTRL_C_WHILE_LOADING], capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.startswith("error: interrupted\n")
    assert "Traceback" not in ended.stderr
