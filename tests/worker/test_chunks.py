import pytest

from macfleet.worker.chunks import ChunkCosts, alone, alone_at_first, beside_answers


def proportional(tokens):
    return 0.001 * tokens


def gpu(tokens):
    """All weights are read once whatever the length: 30 ms, and 0.2 ms for each token."""
    return 0.030 + 0.0002 * tokens


def test_beside_answers_a_chunk_takes_less_than_the_time_between_their_tokens():
    assert beside_answers(proportional, cycle_s=0.1, most=512) == 64
    assert beside_answers(proportional, cycle_s=0.001, most=512) == 8
    assert beside_answers(proportional, cycle_s=9.0, most=512) == 512
    assert beside_answers(proportional, cycle_s=9.0, most=100) == 100


def test_where_a_short_chunk_takes_as_long_as_a_longer_one_it_is_longer():
    chosen = beside_answers(gpu, cycle_s=0.040, most=512)

    assert chosen >= 64  # 8 tokens would fit into the time best, and read a prompt at a sixth of the speed
    assert gpu(chosen) <= 1.5 * 0.040


def test_alone_a_prompt_is_in_all_stages_at_once():
    assert alone(proportional, tokens=2000, stages=2, most=512) <= 64
    assert alone(proportional, tokens=2000, stages=1, most=512) == 512
    assert 128 <= alone(gpu, tokens=2000, stages=2, most=512) <= 512


def test_alone_a_short_prompt_is_read_in_one_piece_if_that_pays():
    assert alone(gpu, tokens=40, stages=3, most=512) >= 40


@pytest.mark.parametrize(("tokens", "stages", "chunk"), [(2000, 1, 512), (2000, 2, 167), (40, 2, 32), (9000, 2, 512)])
def test_before_anything_was_measured_it_follows_from_the_stages(tokens, stages, chunk):
    assert alone_at_first(tokens, stages, most=512) == chunk


def test_what_was_not_measured_lies_between_what_was():
    costs = ChunkCosts()
    costs.measured(8, 0.032)
    assert costs.seconds(16) == pytest.approx(0.048)

    costs.measured(512, 0.132)

    assert costs.seconds(8) == pytest.approx(0.032)
    assert costs.seconds(260) == pytest.approx(0.082)
    assert costs.seconds(1024) == pytest.approx(0.2336, rel=0.01)


def test_a_longer_chunk_never_counts_for_less_than_a_shorter_one():
    costs = ChunkCosts()
    costs.measured(8, 0.090)
    costs.measured(64, 0.030)

    assert costs.seconds(8) == costs.seconds(64) == 0.030


def test_one_stutter_does_not_change_the_picture():
    costs = ChunkCosts()
    costs.measured(8, 0.010)

    costs.measured(8, 5.0)

    assert costs.seconds(8) < 0.02
