"""Why a family is on the allow-list: its split over stages, uneven ones too, gives the tokens and the logits of the whole."""

import pytest
from mlx_lm.utils import MODEL_REMAPPING

from macfleet.models.families import ALIASES, PROVEN, UNBATCHED, WIDE_KV
from macfleet.models.kv import KvQuantization
from macfleet.worker.mlx.kv import is_quantized
from macfleet.worker.mlx.prove import PROMPT, NotProved, Whole, prove, prove_alone, prove_sharing
from macfleet.worker.mlx.tiny import make_tiny
from tests.worker.family_configs import CONFIGS, USUAL, with_long_heads


def test_every_family_on_the_list_is_tested_here():
    assert tuple(sorted(CONFIGS)) == PROVEN


def test_an_alias_is_what_mlx_lm_runs_it_as():
    assert {alias: MODEL_REMAPPING[alias] for alias in ALIASES} == ALIASES
    assert set(ALIASES.values()) <= set(PROVEN)


def config_of(family):
    return {**CONFIGS[family], "model_type": family}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, family):
    """Made once for all tests of a family, which follow each other."""
    return Whole(make_tiny(tmp_path_factory.mktemp(family), config_of(family)))


FAMILIES = [pytest.param(family, marks=() if family in USUAL else pytest.mark.rehearsal) for family in PROVEN]


@pytest.mark.parametrize("family", FAMILIES, scope="module")
def test_the_split_equals_the_whole(whole):
    assert len({token for token, _ in whole.says(PROMPT)}) > 2, "a model that repeats itself proves nothing"

    prove_alone(whole, (0, whole.layers))
    prove_alone(whole, (0, whole.layers - 1, whole.layers))
    prove_alone(whole, (0, 1, 4, whole.layers))


@pytest.mark.parametrize("family", FAMILIES, scope="module")
def test_who_shares_a_lane_is_answered_as_if_alone(whole):
    prove_sharing(whole, (0, 2, whole.layers))


@pytest.mark.parametrize("family", UNBATCHED)
def test_a_family_that_is_not_batched_would_be_answered_otherwise_in_a_batch(family):
    assert "in a batch" in prove(config_of(family)).why_alone


QUICK = ("gemma3_text", "llama", "qwen3_next")
IN_FEWER_BITS = [
    pytest.param(family, bits, marks=() if family in QUICK else pytest.mark.rehearsal)
    for family in PROVEN
    if family not in WIDE_KV
    for bits in (8, 4)
]


@pytest.mark.parametrize(("family", "bits"), IN_FEWER_BITS)
def test_with_kv_caches_in_fewer_bits_the_split_equals_the_whole(tmp_path, family, bits):
    whole = Whole(make_tiny(tmp_path, with_long_heads(config_of(family))), KvQuantization(bits, 32))

    assert is_quantized(whole.fresh_cache())
    prove_alone(whole, (0, whole.layers - 1, whole.layers))
    prove_alone(whole, (0, 1, 4, whole.layers))
    prove_sharing(whole, (0, 2, whole.layers))


@pytest.mark.parametrize("family", WIDE_KV)
def test_a_family_that_keeps_its_kv_cache_wide_has_to(family):
    with pytest.raises(NotProved, match=r"mlx-lm runs no small model of this config|none of its caches is of the kind"):
        prove(with_long_heads(config_of(family)), KvQuantization(8, 32))
