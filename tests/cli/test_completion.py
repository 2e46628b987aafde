"""What the shell offers behind a Tab."""

import pytest
import typer
from typer.testing import CliRunner

from macfleet.cli.commands import register

INVENTORY = """
macs:
  studio-1: {address: 10.0.0.1, hardware: mac-studio-m3-ultra, memory: 512 GiB, groups: [studios]}
  mini-1: {address: 10.0.0.2, hardware: mac-mini-m4-pro, memory: 64 GiB}
groups:
  studios: {}
"""


def offered(line, inventory):
    register(whole := typer.Typer())
    typed = {"_MACFLEET_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    ended = CliRunner().invoke(whole, [], prog_name="macfleet", env={**typed, "MACFLEET_INVENTORY": str(inventory)})
    assert (ended.exit_code, ended.stderr) == (0, "")
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("macfleet roll", ["rolling-reboot"]),
        ("macfleet lab fault cable-", ["cable-out", "cable-moved"]),
        ("macfleet verify --mac ", ["studio-1", "mini-1"]),
        ("macfleet provision --group s", ["studios"]),
        ("macfleet lab up --hardware mac-studio-m3", ["mac-studio-m3-ultra"]),
        ("macfleet rolling-reboot --accept-risk f", ["filevault"]),
    ],
)
def test_names_are_completed(line, names, tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY)

    assert offered(line, tmp_path / "inventory.yaml") == names


def test_without_an_inventory_there_is_nothing_to_offer_and_nothing_to_say(tmp_path):
    assert offered("macfleet verify --mac ", tmp_path / "none.yaml") == []
