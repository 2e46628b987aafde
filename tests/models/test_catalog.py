import json
from importlib.resources import files

import pytest

from macfleet.models import catalog
from macfleet.models.card import ModelCard

ROWS = json.loads(files("macfleet.models").joinpath("cards.json").read_text())


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("deepseek-v3", "deepseek-v3-0324"),
        ("deepseek-v3.1", "deepseek-v3.1"),
        ("DeepSeek-R1", "deepseek-r1-0528"),
        ("kimi-k2", "kimi-k2"),
        ("llama3.3", "llama3.3-70b"),
        ("mlx-community/GLM-4.7-4bit", "glm-4.7"),
        ("smollm2-135m", "smollm2-135m"),
    ],
)
def test_a_model_is_found_by_its_name_its_repository_or_the_beginning_of_one_name(asked, found):
    assert catalog.find(asked).name == found


@pytest.mark.parametrize("asked", ["qwen3", "deepseek", "", "gpt-5"])
def test_what_means_no_model_or_several_finds_none(asked):
    assert catalog.find(asked) is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("depseek-v3.1", 'did you mean "deepseek-v3.1"?'),
        ("kimi-k2.", "known: kimi-k2.5, kimi-k2.6"),
        ("gpt-oss", "known: gpt-oss-120b, gpt-oss-20b"),
    ],
)
def test_a_misspelt_model_gets_the_near_name(asked, said):
    assert catalog.suggestion(asked) == said


@pytest.mark.parametrize("card", catalog.cards(), ids=lambda card: card.name)
def test_a_card_s_bytes_sum_up_to_its_size_on_disk(card):
    assert card.weight_bytes(0, card.layers) == pytest.approx(card.disk_bytes, rel=1e-6)
    assert min(card.layer_bytes) > 0
    assert card.kv_bytes_per_token > 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_a_card_s_cache_bytes_are_those_of_its_row(row):
    card = catalog.find(row["name"])

    assert card.kv_bytes_per_token == row["kv_bytes_per_token"]
    assert card.layers == row["layers"]


def test_names_and_repositories_are_unique():
    assert len({row["name"] for row in ROWS}) == len(ROWS)
    assert len({row["repo"] for row in ROWS}) == len(ROWS)


def test_the_layers_with_experts_of_deepseek_v3_agree_with_its_parameters():
    card = catalog.find("deepseek-v3")
    attention = 7168 * 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 * 128 * 256 + 128 * 128 * 7168
    experts = 257 * 3 * 7168 * 2048 + 256 * 7168

    assert card.layer_bytes[60] == pytest.approx((attention + experts) * 4.5 / 8, rel=0.005)
    assert card.layer_bytes[0] == pytest.approx((attention + 3 * 7168 * 18432) * 4.5 / 8, rel=0.005)


def test_stages_hold_their_layers_the_first_the_embedding_and_the_last_the_head():
    card = _card(is_tied=False)

    assert [card.weight_bytes(0, 1), card.weight_bytes(1, 2), card.weight_bytes(2, 3)] == [101, 2, 1003]
    assert card.weight_bytes(0, 3) == 1106


def test_a_tied_embedding_is_on_the_first_and_on_the_last_stage_but_once_when_they_are_one():
    card = _card(is_tied=True)

    assert card.weight_bytes(0, 2) + card.weight_bytes(2, 3) == 1106
    assert card.weight_bytes(0, 3) == 1006


def test_caches_grow_by_tokens_and_sequences_and_a_state_by_sequences_only():
    card = _card()

    assert card.cache_bytes(0, 2, tokens=10, sequences=3) == 3 * ((10 + 255) * 5 + 7)


def _card(is_tied=False):
    return ModelCard(
        name="m", repo="", family="llama", quantization="", disk_bytes=0, hidden=1, vocab=1, context_tokens=1,
        layer_bytes=(1, 2, 3), embed_bytes=100, head_bytes=1000, is_tied=is_tied,
        kv_bytes_per_layer=(5, 0, 5), state_bytes_per_layer=(0, 7, 0), is_exact=False,
    )  # fmt: skip
