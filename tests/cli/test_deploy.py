"""What an operator sees of `deploy --dry-run`: the plan of the example inventory, from the built-in cards."""

import json
import os

import pytest
import typer
from typer.testing import CliRunner

from macfleet.cli.commands import register
from macfleet.core.data import data_path

app = typer.Typer()
register(app)
EXAMPLE = str(data_path("inventory.example.yaml"))


def type_(*words, **environment):
    return CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1", **environment})


def test_deepseek_v3_on_the_example_inventory_is_four_stages_that_cover_its_61_layers():
    ended = type_("deploy", "--model", "deepseek-v3", "--dry-run", "--offline", "--json", "-i", EXAMPLE)

    plan = json.loads(ended.stdout)
    assert ended.exit_code == 0
    assert [mac["mac"] for mac in plan["macs"]] == ["studio-1", "studio-2", "studio-3", "studio-4"]
    held = [layer for mac in plan["macs"] for layer in range(mac["first_layer"], mac["last_layer"])]
    assert held == list(range(61))
    assert all(mac["limit_bytes"] == 448 * 1024**3 and mac["fill"] < 0.25 for mac in plan["macs"])
    assert [mac["step_ms"] for mac in plan["macs"]] == [pytest.approx(13.7, abs=0.5)] * 4
    assert sum(mac["step_bytes"] for mac in plan["macs"]) < 0.1 * 378e9  # two requests in a step use few of its experts


def test_the_plan_is_a_line_per_mac_with_its_numbers():
    ended = type_("deploy", "--model", "deepseek-v3", "--macs", "studio-4,studio-2", "--dry-run", "--offline", "-i", EXAMPLE)

    lines = ended.stdout.splitlines()
    assert lines[0].startswith("deepseek: deepseek-v3-0324, 61 layers on 2 Macs")
    assert lines[1].startswith("studio-4  rank 0  layers 0-")  # the first one named is the head
    assert "of 448 GiB; step 4" in lines[1]
    assert lines[4].startswith("a decoding step should take the stages 4")
    assert "is the slowest: at most" in lines[4]


def test_without_an_ssh_key_a_dry_run_plans_with_the_inventory_and_says_that_nobody_was_asked(tmp_path):
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(data_path("inventory.example.yaml").read_text().replace("~/.ssh/id_ed25519", str(tmp_path / "no-key")))

    ended = type_("deploy", "--model", "deepseek-v3", "--dry-run", "-i", str(inventory))

    assert ended.exit_code == 3
    assert ended.stdout.count("layers") == 5  # the model's and the four Macs'
    assert "no Mac was asked: the SSH key" in ended.stderr
    assert "studio-4 could not be read: planned with what the inventory says of it" in ended.stderr


def test_offline_goes_with_a_dry_run_only():
    ended = type_("deploy", "--model", "deepseek-v3", "--offline", "-i", EXAMPLE)

    assert ended.exception.exit_code == 2


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--macs", "", '--macs "" names no Mac'), ("--macs", " ,", '--macs " ," names no Mac'), ("--deadline", "5", '--deadline: "5" is not')],
)
def test_an_option_that_says_nothing_is_a_wrong_request_also_in_a_dry_run(option, value, said):
    ended = type_("deploy", "--model", "deepseek-v3", "--dry-run", "--offline", option, value, "-i", EXAMPLE)

    assert ended.exception.exit_code == 2
    assert str(ended.exception).startswith(said)


def test_a_model_nobody_knows_is_a_wrong_request(tmp_path):
    ended = type_("deploy", "--model", "depseek-v3", "--dry-run", "--offline", "-i", EXAMPLE, MACFLEET_MODELS=os.fspath(tmp_path))

    assert ended.exception.exit_code == 2
    assert "deepseek-v3" in ended.exception.hint


def test_resume_and_abandon_exclude_each_other():
    ended = type_("rolling-reboot", "--resume", "--abandon", "-i", EXAMPLE)

    assert ended.exception.exit_code == 2
