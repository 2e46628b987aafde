"""What the commands about the rehearsal fleet say."""

from pathlib import Path

from typer.testing import CliRunner

from macfleet.cli.lab import _up_sentence, app
from macfleet.core.words import count
from macfleet.lab.paths import LabDir
from macfleet.lab.up import Up


def test_taking_down_what_is_no_rehearsal_removes_nothing_and_says_so(tmp_path):
    (tmp_path / "inventory.yaml").touch()

    ended = CliRunner().invoke(app, ["down", "--delete", "--dir", str(tmp_path)])

    assert (ended.exit_code, ended.stdout) == (0, f"nothing was running in {tmp_path}\n")
    assert (tmp_path / "inventory.yaml").exists()


def test_a_fleet_of_one_is_one_mac():
    up = Up(LabDir(Path("/lab")), ("studio-1",), was_up=False, was_made=True)

    assert _up_sentence(up) == "1 Mac made and started in /lab"
    assert [count(number, "process", "processes") for number in (0, 1, 2)] == ["0 processes", "1 process", "2 processes"]
