import json

import pytest
import yaml
from typer.testing import CliRunner

from macfleet.cli.inventory import app
from macfleet.core.errors import InventoryError

SHELF = """\
fleet: {ssh: {known_hosts: known_hosts}}
macs:
  studio-1: {address: 10.0.0.1, hardware: mac-studio-m3-ultra, memory: 512 GiB, tags: [rack-a]}
  mini-1: {address: 10.0.0.2, hardware: mac-mini-m4-pro, memory: 64 GiB}
services:
  chat: {model: smollm2-135m, macs: [mini-1], api_key: {env: KEY}}
"""


@pytest.fixture
def shelf(tmp_path):
    path = tmp_path / "inventory.yaml"
    path.write_text(SHELF)
    return path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_show_is_a_line_for_each_mac_and_service(shelf):
    result = run("show", "--inventory", shelf)

    assert result.exit_code == 0
    assert result.stdout == (
        "studio-1  10.0.0.1:22  Mac15,14 Mac Studio M3 Ultra (2025)  512 GiB  #rack-a\n"
        "mini-1    10.0.0.2:22  Mac16,11 Mac mini M4 Pro (2024)      64 GiB\n"
        "service chat: smollm2-135m on mini-1; 127.0.0.1:8080 on mini-1\n"
    )


def test_show_is_about_the_chosen_macs(shelf):
    assert run("show", "--inventory", shelf, "--tag", "rack-*").stdout.startswith("studio-1  10.0.0.1:22")
    assert "mini-1  " not in run("show", "--inventory", shelf, "--tag", "rack-*").stdout


def test_show_as_json_is_merged_and_names_only_the_source_of_a_secret(shelf):
    answer = json.loads(run("show", "--inventory", shelf, "--json").stdout)

    assert answer["schema"] == 1
    assert [mac["mac"] for mac in answer["macs"]] == ["studio-1", "mini-1"]
    assert answer["macs"][0]["settings"]["minimum_free_disk"] == "50 GiB"
    assert answer["services"][0]["api_key"] == "the environment variable KEY"
    assert answer["summary"] == {"macs": 2, "services": 1}


def test_settings_are_shown_as_they_could_be_written(shelf):
    lines = run("show", "--inventory", shelf, "--mac", "mini-1", "--settings").stdout.splitlines()

    settings = yaml.safe_load("\n".join(line for line in lines if line.startswith("    ")))

    assert (settings["wired_limit"], settings["reboot"]["deadline"], settings["power"]["sleep_min"]) == ("auto", "10 min", 0)


def test_the_hardware_is_listed_without_an_inventory():
    result = run("show", "--hardware")

    assert result.exit_code == 0
    assert "mac-studio-m3-ultra    Mac15,14       Mac Studio M3 Ultra (2025)    96/256/512    6 × 5        yes" in result.stdout


def test_check_says_that_a_good_inventory_is_one(shelf):
    (shelf.parent / "known_hosts").touch()

    result = run("check", "--inventory", shelf)

    assert (result.exit_code, result.stdout, result.stderr) == (0, "inventory.yaml is well-formed: 2 Macs, 1 service\n", "")


def test_check_doubts_what_is_well_formed_and_cannot_work(shelf):
    shelf.write_text(SHELF.replace("smollm2-135m", "smolm2-135m") + "models:\n  mine: {path: nowhere}\n")

    result = run("check", "--inventory", shelf)

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        'warning: services/chat/model: no card and no entry of `models` is called smolm2-135m; did you mean "smollm2-135m"?',
        f"warning: models/mine/path: there is no config.json in {shelf.parent}/nowhere",
        f"warning: fleet/ssh/known_hosts: there is no file {shelf.parent}/known_hosts; `macfleet inventory pin` makes it",
    ]


@pytest.mark.parametrize(
    ("written", "instead", "doubt"),
    [
        ("api_key: {env: KEY}", "listen: 0.0.0.0",
         "services/chat: it listens on 0.0.0.0 without an api_key; whoever reaches mini-1 may use it"),
        ("memory: 64 GiB", "memory: 64 GiB, settings: {wired_limit: 60 GiB}",
         "macs/mini-1: a wired_limit of 60 GiB leaves 4 GiB to macOS, which wants 8 GiB to stay well"),
        ("fleet: {ssh", "fleet: {cables: ['studio-1:1 mini-1:1'], ssh",
         "fleet/cables: a mesh is wanted, and there is no cable between studio-1 and s2, studio-1 and s3, studio-1 and s4, "
         "and 6 more; see `macfleet cables --plan mesh`"),
        ("[mini-1]", "[mini-1, studio-*, s2, s3, s4]",
         "services/chat/macs: a mesh of 5 Macs takes 4 Thunderbolt ports of each, mini-1 has 3; `topology: ring` takes two"),
    ],
)  # fmt: skip
def test_check_doubts_what_will_be_regretted(shelf, written, instead, doubt):
    more = "".join(f"  s{last}: {{address: 10.0.1.{last}, hardware: mac-studio-m3-ultra, memory: 512 GiB}}\n" for last in (2, 3, 4))
    (shelf.parent / "known_hosts").touch()
    shelf.write_text(SHELF.replace(written, instead).replace("services:", more + "services:"))

    result = run("check", "--inventory", shelf)

    assert (result.exit_code, result.stderr.splitlines()) == (0, [f"warning: {doubt}"])


def test_check_fails_with_every_mistake(shelf):
    shelf.write_text(SHELF.replace("512 GiB", "512").replace("[mini-1]", "[mini-2]"))

    result = run("check", "--inventory", shelf)

    assert isinstance(result.exception, InventoryError)
    assert result.exception.exit_code == 2
    assert [line.partition("inventory.yaml:")[2].split(":")[0] for line in (result.exception.what, *result.exception.truths)] == ["3", "6"]


def test_the_schema_is_json():
    assert json.loads(run("schema").stdout)["title"] == "macfleet inventory"
