"""One bad row of a lane: it has no next token, and the others have those they would have alone."""

from array import array

import pytest

from macfleet.core.errors import MacfleetError
from macfleet.engines.protocol import Form, Sampling
from macfleet.worker.engine import NotPicked, Picked, Tensor
from macfleet.worker.mlx.engine import MlxEngine
from macfleet.worker.mlx.prove import PROMPT, Stages, Whole, check
from macfleet.worker.mlx.tiny import make_tiny
from tests.gateway.tiny_model import make_tiny_model
from tests.worker.tiny import DEEPSEEK, LLAMA

OTHER = PROMPT[3:9]
NOT_OPEN, BEHIND = NotPicked("this request was not opened here"), NotPicked("token 3 came where 0 was expected")


@pytest.fixture(scope="module", params=[LLAMA, DEEPSEEK], ids=["llama", "deepseek"])
def whole(request, tmp_path_factory):
    return Whole(make_tiny(tmp_path_factory.mktemp("tiny"), request.param))


@pytest.fixture
def engines(whole):
    """Of three stages, with the requests 1 and 2, whose prompts are read, and 3, which is open."""
    stages = Stages(whole, (0, 2, 4, whole.layers))
    for slot in (1, 2, 3):
        stages.open(slot)
    stages.read(1, PROMPT)
    stages.read(2, OTHER)
    return stages.engines


def pick_beside(whole, engines, number, beside=()):
    """Token `number` of 1 and 2 is what the whole says, with the rows (slot, position, token) `beside` between them: what of those."""
    mine, others = whole.says(PROMPT), whole.says(OTHER)
    rows = (
        (1, len(PROMPT) - 1 + number, mine[number - 1][0] if number else PROMPT[-1]),
        *beside,
        (2, len(OTHER) - 1 + number, others[number - 1][0] if number else OTHER[-1]),
    )
    slots, positions, tokens = zip(*rows, strict=True)
    tensor = Tensor("int32", (len(rows), 1), array("i", tokens).tobytes())

    for engine in engines[:-1]:
        tensor = engine.step(1, slots, positions, tensor)
    first, *between, last = engines[-1].pick(1, slots, positions, tensor)

    check(first, mine[number], "the first")
    check(last, others[number], "the last")
    return between


@pytest.mark.parametrize("rank", [1, 2])
def test_a_request_that_could_not_be_opened_at_a_stage_fails_alone(whole, engines, rank):
    for engine in engines[rank:]:
        engine.free(3)

    assert pick_beside(whole, engines, 0, [(3, 0, 5)]) == [NOT_OPEN]
    assert pick_beside(whole, engines, 1) == []


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_request_whose_chunk_a_stage_did_not_compute_fails_alone(whole, engines, rank):
    pick_beside(whole, engines, 0)
    chunk = Tensor("int32", (1, 3), array("i", [5, 6, 7]).tobytes())
    for engine in engines[:rank]:
        chunk = engine.feed(3, 0, chunk)

    assert pick_beside(whole, engines, 1, [(3, 3, 8)]) == [BEHIND]
    assert pick_beside(whole, engines, 2) == []


def test_a_chunk_that_failed_leaves_the_request_where_it_was(engines):
    too_narrow = Tensor("float32", (1, 4, 1), bytes(16))
    with pytest.raises(ValueError, match="32"):
        engines[1].feed(3, 0, too_narrow)

    with pytest.raises(MacfleetError, match="token 4 came where 0 was expected"):
        engines[1].feed(3, 4, too_narrow)


def test_a_stage_with_no_row_to_compute_says_why(engines):
    rows = Tensor("int32", (2, 1), array("i", [5, 6]).tobytes())

    with pytest.raises(MacfleetError, match="this request was not opened here"):
        engines[0].step(1, [7, 8], [0, 0], rows)
    assert engines[-1].pick(1, [7, 8], [0, 0], rows) == (NOT_OPEN, NOT_OPEN)


@pytest.mark.parametrize(("has_tokenizer", "reason"), [(False, "tokenizer.json"), (True, "the answer's grammar: ")])
def test_a_grammar_that_cannot_be_made_is_the_error_of_its_request(tmp_path, has_tokenizer, reason):
    directory = make_tiny(make_tiny_model(tmp_path / "model"), LLAMA)
    if not has_tokenizer:
        (directory / "tokenizer.json").unlink()
    engine = MlxEngine(directory, 0, 5, is_last=True)
    engine.open(1, Sampling())
    engine.open(2, Sampling(form=Form(grammar="nonsense")))

    picked, failed = engine.pick(1, [1, 2], [0, 0], Tensor("int32", (2, 1), array("i", [5, 6]).tobytes()))

    assert isinstance(picked, Picked)
    assert isinstance(failed, NotPicked)
    assert reason in failed.reason
