"""Requests that are wrong, through the real command line: exit 2, one sentence on stderr, what to do, and no Mac asked.

There are no Macs here: whoever asks one anyway is refused by a closed port, and says so instead.
"""

import json
import os

import pytest

from tests.rehearsal.stage import Stage
from tests.weights.models import CONFIG, names, safetensors

pytestmark = pytest.mark.rehearsal

INVENTORY = """\
fleet:
  user: admin
  settings:
    wired_limit: 448 GiB
macs:
  studio-1: {address: 127.0.0.1, port: 9, hardware: mac-studio-m3-ultra, memory: 512 GiB}
  studio-2: {address: 127.0.0.1, port: 10, hardware: mac-studio-m3-ultra, memory: 512 GiB}
services:
  chat: {model: broken, macs: [studio-1], port: 9000}
"""
EVERYWHERE = [("verify", "--json"), ("provision", "--yes"), ("deploy", "--model", "broken", "--yes")]


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    stage.inventory.write_text(INVENTORY)
    stage.environment["MACFLEET_MODELS"] = str(tmp_path / "models")
    return stage


def refused(ended, *said):
    """One refusal: nothing on stdout, the error first on stderr, everything in `said` somewhere in it, no traceback."""
    assert ended.exit_code == 2, str(ended)
    assert ended.stdout == ""
    assert ended.stderr.count("error: ") == 1
    assert ended.stderr.startswith("error: ")
    assert [words for words in said if words not in ended.stderr] == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("wired_limit:", "wird_limit:", ':4: fleet/settings/wird_limit: "wird_limit" is not a key here; did you mean "wired_limit"?'),
        ("448 GiB", "448", ':4: fleet/settings/wired_limit: "448" is not a size; write "448 GiB"'),
        ("port: 10", "port: 9", ":7: macs/studio-2/address: 127.0.0.1 port 9 is already studio-1; two Macs cannot be at one place"),
        ("macs: [studio-1]", "macs: [studio-3]", ':9: services/chat/macs/0: there is no Mac or group "studio-3"; did you mean "studio-2"?'),
        ("user: admin", "user: [admin", ":3: "),
    ],
    ids=["a misspelt key", "a size without a unit", "two Macs with one address", "a service on an unknown Mac", "broken YAML"],
)
def test_an_inventory_with_a_mistake_is_refused_with_its_line_and_the_correction(stage, right, wrong, said):
    stage.inventory.write_text(INVENTORY.replace(right, wrong))

    refused(stage.type("verify"), f"{stage.inventory}{said}", "macfleet inventory check")


@pytest.mark.parametrize("words", EVERYWHERE, ids=" ".join)
def test_every_command_refuses_the_same_inventory_in_the_same_words(stage, words):
    stage.inventory.write_text(INVENTORY.replace("wired_limit:", "wird_limit:"))

    refused(stage.type(*words), f'{stage.inventory}:4: fleet/settings/wird_limit: "wird_limit" is not a key here')


def test_a_mistake_is_gone_as_soon_as_it_is_mended(stage):
    stage.inventory.write_text(INVENTORY.replace("448 GiB", "448"))
    refused(stage.type("inventory", "check"))

    stage.inventory.write_text(INVENTORY)

    assert "well-formed: 2 Macs, 1 service" in stage.must("inventory", "check").stdout


@pytest.mark.parametrize("words", EVERYWHERE, ids=" ".join)
def test_without_an_inventory_every_command_says_how_to_name_or_make_one(stage, words):
    stage.inventory.unlink()

    refused(stage.type(*words), f"there is no inventory at {stage.inventory}", "--inventory or MACFLEET_INVENTORY", "macfleet lab up")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "--mac", "studo-1"), ('there is no Mac "studo-1"', 'did you mean "studio-1"?')),
        (("provision", "--yes", "--mac", "mini-*"), ('there is no Mac "mini-*"', "known: studio-1, studio-2")),
        (("exec", "--group", "studios", "--", "true"), ('there is no group "studios"', "no Mac has a group")),
        (("deploy", "--model", "broken", "--macs", "studio-1,studio-7", "--yes"), ('there is no Mac "studio-7"', 'did you mean "studio-')),
        (("rolling-reboot", "--yes", "--mac", "studio-3"), ('there is no Mac "studio-3"', 'did you mean "studio-2"?')),
        (("lock", "break", "--yes", "--mac", "nope"), ('there is no Mac "nope"', "known: studio-1, studio-2")),
    ],
    ids=lambda value: " ".join(value[:2]),
)
def test_a_selection_that_means_no_mac_is_refused_with_the_near_name(stage, words, said):
    refused(stage.type(*words), *said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("deploy", "--model", "deepseek-v3.", "--yes"), ('there is no model "deepseek-v3."', "deepseek-v3.1", "macfleet lab model")),
        (("deploy", "--model", "deepseek-v3", "--deadline", "soon"), ('--deadline: "soon" is not a duration; write "30 s"',)),
        (("exec", "--timeout", "5", "--", "true"), ('--timeout: "5" is not a duration; write "5 s"',)),
        (("provision", "--yes", "--only", "pwer"), ('no task is tagged "pwer"', 'did you mean "power"?')),
        (("provision", "--yes", "--playbook", "provison.yaml"), ('there is no playbook "provison.yaml"', 'did you mean "provision"?')),
        (("rolling-reboot", "--resume"), ("no rolling reboot stands", "`macfleet rolling-reboot` begins one")),
        (("rolling-reboot", "--accept-risk", "filevualt"), ('there is no risk "filevualt"', 'did you mean "filevault"?')),
    ],
    ids=lambda value: " ".join(value[:3]),
)
def test_a_word_that_means_nothing_is_refused_with_what_would(stage, words, said):
    refused(stage.type(*words), *said)


@pytest.mark.parametrize(
    "words",
    [("provison",), ("chat", "chat", "hello", "--max-tokens", "-1"), ("exec", "--"), ("deploy",)],
    ids=" ".join,
)
def test_a_wrong_command_line_is_a_usage_error_with_the_way_to_the_help(stage, words):
    ended = stage.must(*words, exit_code=2)

    assert ended.stdout == ""
    assert "--help" in ended.stderr
    assert "Traceback" not in ended.stderr


def make_model(stage, tensors, weights=lambda data: data):
    directory = stage.folder / "models" / "broken"
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(CONFIG))
    (directory / "model.safetensors").write_bytes(weights(safetensors(tensors)))
    return directory


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda stage: make_model(stage, names(), lambda data: data[:-10]), "model.safetensors is truncated: "),
        (lambda stage: make_model(stage, names(), lambda data: data[:20]), "model.safetensors is truncated inside its header"),
        (lambda stage: make_model(stage, [name for name in names() if "layers.2.mlp" not in name]), "layers.2.mlp.up_proj.weight"),
        (lambda stage: make_model(stage, [name for name in names() if ".layers.3." not in name]), "layer 3"),
        (lambda stage: (make_model(stage, names()) / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda stage: os.remove(make_model(stage, names()) / "model.safetensors"), "no weights"),
    ],
    ids=["truncated", "truncated header", "a missing tensor", "a missing layer", "a broken config", "no weights"],
)
def test_a_broken_model_directory_is_refused_before_any_mac_is_asked(stage, damage, said):
    damage(stage)

    ended = stage.must("deploy", "--model", "broken", "--yes", exit_code=3)

    assert ended.stdout == ""
    assert ended.stderr.startswith(f"error: {stage.folder / 'models/broken'}: ")
    assert said in ended.stderr
    assert "refuses SSH connections" not in ended.stderr


def test_a_model_that_the_inventory_names_is_looked_at_as_closely(stage):
    directory = make_model(stage, names(), lambda data: data[:-10])
    stage.inventory.write_text(INVENTORY + f"models:\n  other: {{path: '{directory}'}}\n")

    ended = stage.must("deploy", "--model", "other", "--yes", exit_code=3)

    assert ended.stderr.startswith(f"error: {directory}: model.safetensors is truncated: ")


def test_a_model_directory_that_is_not_there_is_a_mistake_of_the_inventory(stage):
    stage.inventory.write_text(INVENTORY + f"models:\n  broken: {{path: '{stage.folder}/nowhere'}}\n")

    refused(stage.type("deploy", "--model", "broken", "--yes"), f"{stage.folder}/nowhere is not a directory")
