"""A stage has its own tensors, all of them, or it does not start."""

import json

import mlx.core as mx
import pytest

from macfleet.core.errors import RequestError, WeightsBroken
from macfleet.models.shrink import shrunken
from macfleet.worker.mlx.load import load_stage
from tests.worker.full_configs import RING_MINI
from tests.worker.tiny import DEEPSEEK, IDS, LLAMA, make_tiny


@pytest.fixture
def llama(tmp_path):
    return make_tiny(tmp_path / "llama", LLAMA)


def rewrite(directory, change):
    file = str(directory / "model.safetensors")
    tensors = dict(mx.load(file))
    mx.eval(tensors)
    mx.save_safetensors(file, change(tensors), metadata={"format": "mlx"})


def layers_of(loaded):
    return sorted({int(name.split(".")[2]) for name in loaded.names if ".layers." in name})


def test_each_stage_has_its_own_layers_and_its_end_of_the_model(llama):
    first, middle, last = (load_stage(llama, *cut, layers_expected_last=cut[1] == 5) for cut in ((0, 1), (1, 4), (4, 5)))

    assert [layers_of(stage) for stage in (first, middle, last)] == [[0], [1, 2, 3], [4]]
    ends = [[name for name in stage.names if ".layers." not in name] for stage in (first, middle, last)]
    assert ends == [["model.embed_tokens.weight"], [], ["model.embed_tokens.weight", "model.norm.weight"]]


def test_an_untied_head_needs_no_embedding_on_the_last_stage(tmp_path):
    directory = make_tiny(tmp_path / "deepseek", DEEPSEEK)

    last = load_stage(directory, 6, 7, layers_expected_last=True)

    assert [name for name in last.names if ".layers." not in name] == ["lm_head.weight", "model.norm.weight"]


def test_the_stages_together_are_the_model(llama):
    stages = [load_stage(llama, *cut, layers_expected_last=cut[1] == 5) for cut in ((0, 2), (2, 5))]

    whole = set(json.loads((llama / "model.safetensors.index.json").read_text())["weight_map"])
    assert set(stages[0].names) | set(stages[1].names) == whole


def test_a_stages_own_file_is_enough(llama):
    tensors = dict(mx.load(str(llama / "model.safetensors")))
    own = {name: tensor for name, tensor in tensors.items() if ".layers.2." in name or ".layers.3." in name}
    mx.save_safetensors(str(llama / "stage-2-4.safetensors"), own)
    (llama / "model.safetensors").unlink()

    assert layers_of(load_stage(llama, 2, 4, layers_expected_last=False)) == [2, 3]


def test_quantised_weights_are_loaded_as_they_are(tmp_path):
    wide = {**LLAMA, "hidden_size": 64, "intermediate_size": 64, "head_dim": 16}
    directory = make_tiny(tmp_path / "llama", wide)

    def quantise(tensors):
        packed = {}
        for name, tensor in tensors.items():
            if tensor.ndim == 1:
                packed[name] = tensor
                continue
            parts = mx.quantize(tensor, group_size=32, bits=4)
            packed |= {name.removesuffix("weight") + part: value for part, value in zip(("weight", "scales", "biases"), parts, strict=True)}
        return packed

    rewrite(directory, quantise)
    (directory / "config.json").write_text(json.dumps({**wide, "quantization": {"group_size": 32, "bits": 4}}))

    loaded = load_stage(directory, 1, 2, layers_expected_last=False)

    assert "model.layers.1.mlp.up_proj.scales" in loaded.names
    assert len(loaded.names) == 7 * 3 + 2


def test_a_truncated_file_is_said_before_anything_is_read(llama):
    file = llama / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])

    with pytest.raises(WeightsBroken, match=r"model\.safetensors.* truncated"):
        load_stage(llama, 0, 5, layers_expected_last=True)


def test_a_missing_tensor_is_named_and_never_random(llama):
    rewrite(llama, lambda tensors: {name: tensor for name, tensor in tensors.items() if name != "model.layers.3.mlp.up_proj.weight"})

    with pytest.raises(WeightsBroken, match=r"1 tensors of layers 2\.\.5 are missing: model\.layers\.3\.mlp\.up_proj\.weight"):
        load_stage(llama, 2, 5, layers_expected_last=True)


def test_a_missing_tensor_of_another_stage_is_not_ours_to_say(llama):
    rewrite(llama, lambda tensors: {name: tensor for name, tensor in tensors.items() if name != "model.layers.3.mlp.up_proj.weight"})

    assert layers_of(load_stage(llama, 0, 2, layers_expected_last=False)) == [0, 1]


def test_a_tensor_of_another_shape_is_named(llama):
    rewrite(llama, lambda tensors: {**tensors, "model.layers.0.mlp.up_proj.weight": mx.zeros((3, 3))})

    with pytest.raises(WeightsBroken, match=r"model\.layers\.0\.mlp\.up_proj\.weight has shape \[3, 3\], the config says \[48, 32\]"):
        load_stage(llama, 0, 2, layers_expected_last=False)


def test_a_tensor_the_model_does_not_know_is_named(llama):
    rewrite(llama, lambda tensors: {**tensors, "model.layers.0.mlp.extra.weight": mx.zeros((3, 3))})

    with pytest.raises(WeightsBroken, match=r"1 tensors are unknown to this model: model\.layers\.0\.mlp\.extra\.weight"):
        load_stage(llama, 0, 2, layers_expected_last=False)


@pytest.mark.parametrize(("cut", "is_last"), [((3, 9), True), ((0, 5), False), ((0, 4), True)])
def test_layers_that_are_not_this_ranks_are_refused(llama, cut, is_last):
    with pytest.raises(RequestError, match="of a model of 5 layers"):
        load_stage(llama, *cut, layers_expected_last=is_last)


def test_a_directory_without_weights_or_config_is_said(llama, tmp_path):
    (llama / "model.safetensors").unlink()
    with pytest.raises(WeightsBroken, match="holds no weights"):
        load_stage(llama, 0, 5, layers_expected_last=True)
    with pytest.raises(WeightsBroken, match="holds no config"):
        load_stage(tmp_path / "nothing", 0, 5, layers_expected_last=True)


def test_a_family_that_nobody_proved_is_refused_with_the_list(llama):
    (llama / "config.json").write_text(json.dumps({**LLAMA, "model_type": "bailing_moe_linear"}))

    with pytest.raises(RequestError, match='"bailing_moe_linear" are not served') as error:
        load_stage(llama, 0, 5, layers_expected_last=True)

    assert "deepseek_v3" in error.value.truths[0]
    assert "--unproven" in error.value.hint


def test_a_family_that_was_proved_on_the_spot_is_loaded(tmp_path):
    strange = make_tiny(tmp_path / "strange", {**next(shrunken(RING_MINI)), **IDS})

    assert load_stage(strange, 0, 5, layers_expected_last=False, is_proved=True).stage.last == 5
