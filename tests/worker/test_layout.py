"""Where weights are kept by columns nothing changes but the time."""

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten

from macfleet.worker.mlx import load
from macfleet.worker.mlx.layout import columns_are_quicker, keep_by_columns
from tests.worker.tiny import DEEPSEEK, LLAMA, make_tiny

VOCABULARY, WIDTH = 12000, 16
TOKENS = [3, 14, 15, 92, 65]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.middle = nn.Linear(WIDTH, WIDTH, bias=False)

    def __call__(self, tokens):
        return self.embed.as_linear(self.middle(self.embed(tokens)))


class Untied(Tied):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def __call__(self, tokens):
        return self.head(self.middle(self.embed(tokens)))


def by_columns(model, *, is_last=True):
    own = dict(tree_flatten(model.parameters()))
    keep_by_columns(model, own, is_last=is_last)
    return own


@pytest.mark.parametrize("make", [Tied, Untied])
@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (2, 7)])
def test_the_results_are_the_same_bits(make, shape):
    model = make()
    tokens = mx.random.randint(0, VOCABULARY, shape)
    before = model(tokens)
    mx.eval(before)

    own = by_columns(model)

    assert mx.array_equal(model(tokens), before)
    assert sum(tensor.nbytes for tensor in own.values()) == sum(tensor.nbytes for _, tensor in tree_flatten(model.parameters()))


def test_a_layer_with_a_bias_stays_as_it_is():
    model = Untied()
    model.head = nn.Linear(WIDTH, VOCABULARY)
    weight = model.head.weight

    by_columns(model)

    assert type(model.head) is nn.Linear
    assert model.head.weight is weight


def test_code_that_takes_a_heads_weight_itself_still_finds_it():
    model = Tied()
    weight = mx.array(model.embed.weight)

    by_columns(model)

    assert mx.array_equal(model.embed.weight, weight)


def test_an_embedding_that_is_no_head_stays_as_it_is():
    first, last = Tied(), Untied()

    by_columns(first, is_last=False)
    by_columns(last)

    assert type(first.embed) is type(last.embed) is nn.Embedding
    assert type(last.head) is not nn.Linear


@pytest.mark.parametrize("config", [LLAMA, DEEPSEEK], ids=["llama", "deepseek_v3"])
def test_a_stage_computes_the_same_with_either(tmp_path, monkeypatch, config):
    directory, layers = make_tiny(tmp_path / "model", config), config["num_hidden_layers"]

    def logits(is_quicker):
        monkeypatch.setattr(load, "columns_are_quicker", lambda: is_quicker)
        stage = load.load_stage(directory, 0, layers, layers_expected_last=True).stage
        return stage(mx.array([TOKENS]), stage.own_cache())

    assert mx.array_equal(logits(True), logits(False))


def test_which_is_quicker_is_measured():
    assert columns_are_quicker() in (True, False)
