import json

import pytest

from macfleet.core.clock import HandClock
from macfleet.core.errors import CommandFailed, RequestError, WeightsBroken
from macfleet.inventory.mac import Inventory, Mac, ModelSource
from macfleet.models.catalog import find
from macfleet.serving.model import HubModel, LocalModel, find_model, load_model
from macfleet.serving.staging import fetch_on, prune_on, stage_on
from macfleet.weights.manifest import parse_manifest
from macfleet.weights.safetensors import parse_header
from tests.serving.small_mac import SmallMac
from tests.weights.models import CONFIG, names, safetensors

MAC = Mac("studio-1", "10.0.0.1", "Mac15,14", 1)
DIR = "/opt/macfleet/models/tiny"


@pytest.fixture
def directory(tmp_path):
    every = names()
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "README.md").write_text("not for the Macs")
    (tmp_path / "model-1.safetensors").write_bytes(safetensors(every[:5]))
    (tmp_path / "model-2.safetensors").write_bytes(safetensors(every[5:]))
    return tmp_path


@pytest.fixture
def model(directory):
    return load_model("tiny", directory)


def stage(mac, model, layers=(0, 2), said=None):
    return stage_on(MAC, mac, model, layers, HandClock(), (said if said is not None else []).append)


def test_a_mac_gets_its_own_tensors_and_the_small_files_and_nothing_else(model):
    mac = SmallMac()

    staged = stage(mac, model)

    assert sorted(path.removeprefix(f"{DIR}/") for path in mac.files) == [
        "config.json",
        "manifest.json",
        "stage-0-2.safetensors",
        "tokenizer.json",
    ]
    data = mac.files[f"{DIR}/stage-0-2.safetensors"]
    held = {tensor.name for tensor in parse_header(data, "stage", len(data)).tensors}
    assert all(".layers.2." not in name and ".layers.3." not in name for name in held)
    assert staged.sent_bytes == sum(len(content) for path, content in mac.files.items() if not path.endswith("manifest.json"))


def test_the_manifest_is_written_last_and_names_every_file_with_its_hash(model):
    mac = SmallMac()
    stage(mac, model)

    manifest = parse_manifest(mac.files[f"{DIR}/manifest.json"].decode())
    assert [file.name for file in manifest.files] == ["config.json", "stage-0-2.safetensors", "tokenizer.json"]
    assert [line for line in mac.log if line.startswith("put")][-1] == f"put {DIR}/manifest.json"


def test_what_is_there_and_true_is_not_sent_again(model):
    mac = SmallMac()
    stage(mac, model)
    mac.log.clear()

    staged = stage(mac, model)

    assert staged.sent_bytes == 0
    assert staged.kept_bytes > 0
    assert not [line for line in mac.log if line.startswith("put")]


def test_a_file_that_rotted_on_the_mac_is_sent_again(model):
    mac = SmallMac()
    stage(mac, model)
    mac.files[f"{DIR}/stage-0-2.safetensors"] = b"rotten"

    stage(mac, model)

    assert mac.files[f"{DIR}/stage-0-2.safetensors"] != b"rotten"


def test_other_layers_are_another_file_and_the_small_ones_stay(model):
    mac = SmallMac()
    stage(mac, model)
    mac.log.clear()

    stage(mac, model, (2, 4))

    assert [line for line in mac.log if line.startswith("put")] == [f"put {DIR}/stage-2-4.safetensors", f"put {DIR}/manifest.json"]
    assert prune_on(MAC, mac, "tiny", (2, 4)) == ("stage-0-2.safetensors",)
    assert f"{DIR}/stage-0-2.safetensors" not in mac.files


def test_what_another_service_holds_of_the_model_stays_known(model):
    mac = SmallMac()
    stage(mac, model)
    stage(mac, model, (2, 4))
    mac.log.clear()

    assert stage(mac, model).sent_bytes == 0  # the first service again: its file is still there and true


def test_a_damaged_manifest_counts_for_nothing(model):
    mac = SmallMac(files={f"{DIR}/manifest.json": b"{"})

    assert stage(mac, model).kept_bytes == 0


def test_a_mac_without_room_is_told_before_a_byte_is_sent(model):
    mac = SmallMac(free_bytes=10)

    with pytest.raises(CommandFailed, match="studio-1 has 0 B free, its stage needs"):
        stage(mac, model)

    assert not [line for line in mac.log if line.startswith("put")]


def test_what_a_killed_run_left_half_sent_is_gone_before_the_room_is_counted(model):
    mac = SmallMac(files={f"{DIR}/stage-0-4.safetensors.macfleet-new": b"half", "/elsewhere/x.macfleet-new": b"somebody else's"})

    stage(mac, model)

    assert [path for path in mac.files if path.endswith(".macfleet-new")] == ["/elsewhere/x.macfleet-new"]
    assert next(line for line in mac.log if line.startswith(("find", "df"))).startswith("find")


def test_weights_that_change_while_they_are_sent_are_noticed(model, directory):
    (directory / "model-1.safetensors").write_bytes((directory / "model-1.safetensors").read_bytes()[:-8])

    with pytest.raises(WeightsBroken, match="became shorter while it was read"):
        stage(SmallMac(), model)


def test_from_the_hub_a_mac_fetches_only_the_files_that_hold_its_layers():
    index = {
        "weight_map": {
            "model.embed_tokens.weight": "a.safetensors",
            "model.layers.0.x": "a.safetensors",
            "model.layers.1.x": "b.safetensors",
            "model.layers.2.x": "c.safetensors",
        }
    }
    mac = SmallMac(files={f"{DIR}/model.safetensors.index.json": json.dumps(index).encode()})
    mac._hf = lambda words, stdin: ""
    model = HubModel("tiny", find("deepseek-v3"), "org/tiny")

    fetch_on(MAC, mac, model, (1, 2), HandClock(), lambda text: None)

    fetched = [line for line in mac.log if "download" in line][-1]
    assert fetched.endswith(f"download org/tiny --local-dir {DIR} a.safetensors b.safetensors")


def test_a_mac_that_cannot_fetch_says_what_happened_and_not_how_to_trace_it():
    mac = SmallMac()
    said = "Retrying in 8s\n\x1b[31mError: Local entry not found. Name or service not known\x1b[0m\n\x1b[90mHint: set HF_DEBUG=1\x1b[0m\n"
    mac._hf = lambda words, stdin: (1, said)

    with pytest.raises(CommandFailed) as failed:
        fetch_on(MAC, mac, HubModel("tiny", find("deepseek-v3"), "org/tiny"), (1, 2), HandClock(), lambda text: None)

    assert failed.value.what.endswith("could not fetch org/tiny from the hub: Error: Local entry not found. Name or service not known")


def test_a_model_is_where_the_inventory_says_then_in_the_store_then_on_the_hub(directory, tmp_path):
    inventory = Inventory(tmp_path / "i.yaml", "t", (), models=(ModelSource("mine", directory),))
    store = directory.parent
    directory.rename(store / "stored")

    assert isinstance(find_model("stored", inventory, store), LocalModel)
    assert find_model("deepseek-v3", inventory, store).repo == "mlx-community/DeepSeek-V3-0324-4bit"
    with pytest.raises(RequestError, match="is not a directory"):
        find_model("mine", inventory, store)


def test_a_family_that_cannot_be_split_is_refused_before_anything_is_staged(directory, tmp_path):
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "model_type": "bailing_moe_linear"}))
    inventory = Inventory(tmp_path / "i.yaml", "t", (), models=(ModelSource("mine", directory),))

    with pytest.raises(RequestError, match='the family "bailing_moe_linear" are not served'):
        find_model("mine", inventory, tmp_path)


def test_a_model_nobody_knows_is_refused_with_the_near_name(tmp_path):
    with pytest.raises(RequestError, match='there is no model "deepsek-v3"') as refused:
        find_model("deepsek-v3", Inventory(tmp_path / "i.yaml", "t", ()), tmp_path)

    assert "deepseek-v3" in refused.value.hint


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda directory: (directory / "config.json").unlink(), "there is no config.json"),
        (lambda directory: (directory / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda directory: (directory / "model-2.safetensors").unlink(), "the weights hold no"),
        (lambda directory: (directory / "model-2.safetensors").write_bytes(b"12"), "too few to be one"),
    ],
)
def test_a_broken_directory_is_named_with_what_is_wrong_with_it(directory, damage, said):
    damage(directory)

    with pytest.raises(WeightsBroken, match=said) as broken:
        load_model("tiny", directory)

    assert str(directory) in broken.value.what
