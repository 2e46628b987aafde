"""What the arithmetic says of a config.json and the tensors that come with it."""

import pytest

from macfleet.core.errors import WeightsBroken
from macfleet.models.arithmetic import card_from_config, kv_group_size
from macfleet.models.caches import layer_caches
from macfleet.models.layout import MOST_LAYERS, Part, layer_count, layout_of

SIZES = {"model.embed_tokens.weight": 100, "model.layers.0.a.weight": 1}


@pytest.mark.parametrize(
    ("config", "group"),
    [
        ({"model_type": "llama", "head_dim": 128}, 64),
        ({"model_type": "llama", "hidden_size": 576, "num_attention_heads": 9}, 64),
        ({"model_type": "phi3", "hidden_size": 3072, "num_attention_heads": 32}, 32),
        ({"model_type": "qwen2", "hidden_size": 2560, "num_attention_heads": 32}, None),
        ({"model_type": "deepseek_v2", "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}, 64),
        ({"model_type": "deepseek_v3", "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}, None),
        ({"model_type": "gpt_oss", "head_dim": 64}, None),
        ({"model_type": "of_no_test", "head_dim": 64}, 64),
    ],
)
def test_values_share_a_scale_where_the_family_and_its_heads_allow_it(config, group):
    assert kv_group_size(config) == group


def test_shared_tensors_are_counted_with_every_layer():
    sizes = {"model.embed_tokens.weight": 100, "model.layers.0.a.weight": 1, "model.layers.1.a.weight": 2, "model.rope_table": 10}

    card = card_from_config("m", {"num_hidden_layers": 2, "vocab_size": 8}, sizes)

    assert (card.layer_bytes, card.embed_bytes, card.head_bytes, card.is_tied) == ((11, 12), 100, 100, True)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("language_model.model.embed_tokens.weight", Part.EMBEDDING),
        ("language_model.model.layers.1.mlp.gate.weight", Part.LAYER),
        ("language_model.model.layers.2.mlp.gate.weight", Part.UNUSED),
        ("language_model.model.norm.weight", Part.HEAD),
        ("language_model.lm_head.scales", Part.HEAD),
        ("vision_tower.blocks.0.norm.weight", Part.UNUSED),
        ("multi_modal_projector.layers.0.weight", Part.UNUSED),
        ("language_model.model.rope_table", Part.SHARED),
    ],
)
def test_a_tensor_s_name_says_its_part(name, part):
    names = ["language_model.model.embed_tokens.weight", *(f"language_model.model.layers.{layer}.mlp.gate.weight" for layer in (0, 1))]

    layout = layout_of([*names, "language_model.lm_head.weight"], {"text_config": {"num_hidden_layers": 2}})

    assert layout.part_of(name) is part


@pytest.mark.parametrize(
    ("names", "config", "said"),
    [
        (["a.weight"], {"num_hidden_layers": 1}, "the weights hold no layers with a name like model.layers.0."),
        (["model.layers.0.a"], {}, "config.json does not say how many layers the model has"),
        (["model.layers.0.a", "model.layers.3.a"], {"num_hidden_layers": 4}, "the weights hold no layers 1, 2 of 4"),
    ],
)
def test_weights_that_are_not_a_whole_model_are_refused(names, config, said):
    with pytest.raises(WeightsBroken) as caught:
        layout_of(names, config)

    assert caught.value.what.startswith(said)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_hidden_layers": 1025}, "config.json says that the model has 1025 layers (num_hidden_layers)"),
        ({"text_config": {"n_layer": 10**30}}, f"config.json says that the model has {10**30} layers (n_layer)"),
        ({"num_layers": 10**4000}, f"config.json says that the model has {10**17}...{'0' * 19} layers (num_layers)"),
    ],
)
@pytest.mark.parametrize("ask", [layer_count, layer_caches, lambda config: card_from_config("m", config, SIZES)])
def test_more_layers_than_any_model_has_are_refused_before_anything_is_kept_for_each(ask, config, said):
    with pytest.raises(WeightsBroken) as caught:
        ask({"hidden_size": 64, **config})

    assert (caught.value.what, caught.value.truths) == (said, ("macfleet serves models of up to 1024 layers",))
    assert caught.value.hint == "fetch the model again"


def test_as_many_layers_as_may_be_are_counted():
    assert layer_count({"num_hidden_layers": MOST_LAYERS}) == MOST_LAYERS == 1024
