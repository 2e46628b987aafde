"""Which tensors are experts, and how many of them a step reads, against the models that mlx-lm makes."""

import pytest

from macfleet.models.card import ModelCard
from macfleet.models.catalog import find
from macfleet.models.experts import is_of_experts, share_per_step, share_per_token
from macfleet.models.families import PROVEN
from tests.worker.family_configs import CONFIGS

pytest.importorskip("mlx.core")


def names_of(config):
    """(of experts, all) that mlx-lm's model has."""
    from mlx.utils import tree_flatten
    from mlx_lm.models.switch_layers import SwitchLinear
    from mlx_lm.utils import _get_classes

    model_class, arguments = _get_classes(config)
    model = model_class(arguments.from_dict(dict(config)))
    switches = [name for name, module in model.named_modules() if isinstance(module, SwitchLinear)]
    every = {name for name, _ in tree_flatten(model.parameters())}
    return {name for name in every if name.rpartition(".")[0] in switches}, every


@pytest.mark.parametrize("family", PROVEN)
def test_experts_are_known_by_their_names(family):
    experts, every = names_of({**CONFIGS[family], "model_type": family})

    assert {name for name in every if is_of_experts(name)} == experts


@pytest.mark.parametrize(
    ("config", "share"),
    [
        ({"n_routed_experts": 256, "num_experts_per_tok": 8}, 1 / 32),
        ({"text_config": {"num_local_experts": 128, "num_experts_per_tok": 1}}, 1 / 128),
        ({"moe_num_experts": 64, "moe_k": 6}, 6 / 64),
        ({"n_routed_experts": 512, "moe_topk": 12}, 12 / 512),
        ({"num_experts": 8}, 1.0),
        ({"hidden_size": 64}, 1.0),
    ],
)
def test_the_share_of_a_token_is_what_config_json_says(config, share):
    assert share_per_token(config) == share


def test_more_requests_in_a_step_use_more_experts_but_never_more_than_there_are():
    assert share_per_step(1 / 32, 1) == 1 / 32
    assert share_per_step(1 / 32, 8) == pytest.approx(0.224, abs=0.001)
    assert share_per_step(1 / 32, 1000) == pytest.approx(1.0)
    assert share_per_step(1.0, 4) == 1.0


def test_a_step_of_deepseek_v3_reads_its_active_parameters():
    card = find("deepseek-v3")

    assert card.step_bytes(0, 61, rows=1) == pytest.approx((37e9 - card.vocab * card.hidden) * 4.5 / 8, rel=0.03)
    # A dense layer reads about as much as one with experts, of which eight and the shared one are used.
    assert card.step_bytes(0, 1, rows=1) == pytest.approx(card.step_bytes(60, 61, rows=1) - card.head_bytes, rel=0.05)


def test_a_card_that_lists_experts_of_other_layers_than_it_has_is_no_card():
    with pytest.raises(ValueError, match="differ in length"):
        ModelCard(
            name="m", repo="", family="", quantization="", disk_bytes=0, hidden=1, vocab=1, context_tokens=1, layer_bytes=(1, 2),
            embed_bytes=1, head_bytes=1, is_tied=False, kv_bytes_per_layer=(1, 1), state_bytes_per_layer=(0, 0), is_exact=True,
            expert_bytes_per_layer=(1,),
        )  # fmt: skip
