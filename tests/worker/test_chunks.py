import pytest

from macfleet.worker.chunks import alone, alone_at_first, beside_answers


def proportional(tokens):
    return 0.001 * tokens


def gpu(tokens):
    """All weights are read once whatever the length: 30 ms, and 0.2 ms for each token."""
    return 0.030 + 0.0002 * (tokens - 1)


@pytest.mark.parametrize("stages", [1, 2, 4])
@pytest.mark.parametrize("cycle_s", [0.02, 0.1, 0.4])
def test_all_stages_chunks_together_at_most_triple_the_time_between_tokens(stages, cycle_s):
    chunk = beside_answers(proportional, cycle_s, stages, most=512)

    assert cycle_s + stages * proportional(chunk) <= 3 * cycle_s
    assert beside_answers(proportional, 100.0, stages, most=100) == 100


def test_it_reads_something_however_little_time_there_is():
    assert beside_answers(proportional, 1e-6, stages=2, most=512) == 1


def test_where_a_short_chunk_takes_as_long_as_a_longer_one_it_is_longer():
    chosen = beside_answers(gpu, cycle_s=0.060, stages=2, most=512)

    assert chosen >= 48  # 8 tokens would fit into the time best, and read a prompt at a sixth of the speed
    assert gpu(chosen) <= 0.060


def test_alone_a_prompt_is_in_all_stages_at_once():
    assert alone(proportional, tokens=2000, stages=2, most=512) <= 64
    assert alone(proportional, tokens=2000, stages=1, most=512) == 512
    assert 128 <= alone(gpu, tokens=2000, stages=2, most=512) <= 512


def test_alone_a_short_prompt_is_read_in_one_piece_if_that_pays():
    assert alone(gpu, tokens=40, stages=3, most=512) >= 40


@pytest.mark.parametrize(("tokens", "stages", "chunk"), [(2000, 1, 512), (2000, 2, 167), (40, 2, 32), (9000, 2, 512)])
def test_before_anything_was_measured_it_follows_from_the_stages(tokens, stages, chunk):
    assert alone_at_first(tokens, stages, most=512) == chunk
