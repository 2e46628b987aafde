import pytest

from macfleet.worker.costs import Costs, StageCosts, best_lanes


def costs(*stages, around_s=0.0):
    return Costs([StageCosts(dict(stage)) for stage in stages], around_s)


def flat(seconds):
    """A GPU that waits for its memory: eight rows cost what one does."""
    return dict.fromkeys((1, 2, 4, 8, 16), seconds)


def proportional(seconds):
    return {rows: seconds * rows for rows in (1, 2, 4, 8, 16)}


def test_where_a_batch_costs_nothing_it_is_not_split():
    assert best_lanes(costs(flat(0.02), flat(0.02)), requests=8, now=1) == 1


def test_where_every_row_costs_its_share_each_stage_gets_a_lane():
    assert best_lanes(costs(proportional(0.01), proportional(0.01)), requests=8, now=1) == 2
    assert best_lanes(costs(proportional(0.01), proportional(0.01), proportional(0.01)), requests=9, now=1) == 3


def test_every_stage_s_step_is_known_once_it_was_measured():
    uneven = costs(flat(0.01), flat(0.03), {})

    assert uneven.steps_s(4) == (0.01, 0.03, 0.0)
    assert uneven.slowest_step_s(4) == 0.03


def test_a_long_way_between_the_stages_is_hidden_by_another_lane():
    assert best_lanes(costs(proportional(0.01), proportional(0.01), around_s=0.04), requests=8, now=2) in (3, 4)


def test_a_lane_on_one_stage_alone_is_never_split():
    assert best_lanes(costs(proportional(0.01)), requests=8, now=1) == 1


@pytest.mark.parametrize(("requests", "lanes"), [(1, 1), (2, 2), (5, 3)])
def test_before_anything_is_measured_there_are_as_many_as_stages_and_one_on_the_way(requests, lanes):
    assert best_lanes(costs({}, {}), requests, now=0) == lanes


def test_a_small_gain_is_not_worth_moving():
    almost_flat = {1: 0.0100, 2: 0.01005, 4: 0.0101, 8: 0.0102}

    assert best_lanes(costs(almost_flat, almost_flat), requests=8, now=1) == 1


def test_what_was_not_measured_lies_on_the_line_through_what_was():
    stage = StageCosts({1: 0.011, 2: 0.012, 4: 0.014})

    assert stage.step_s(8) == pytest.approx(0.018)
    assert stage.step_s(2) == 0.012


def test_one_stutter_does_not_change_the_picture():
    stage = StageCosts({1: 0.010})

    stage.measured_step(1, 5.0)

    assert stage.step_s(1) < 0.02


def test_a_chunk_takes_what_the_slowest_stage_takes():
    both = costs({}, {})

    both.measured_chunk(65, (0.064, 0.128))

    assert both.are_chunks_known
    assert both.chunk_s(65) == pytest.approx(0.128)


def test_the_first_token_of_a_chunk_costs_a_decoding_step():
    """On a GPU that is nearly all of it, and what a long chunk takes says nothing of a short one unless that is known."""
    gpu = costs({1: 0.030})

    gpu.measured_chunk(101, (0.050,))

    assert gpu.chunk_s(1) == pytest.approx(0.030)
    assert gpu.chunk_s(11) == pytest.approx(0.032)


def test_a_chunk_quicker_than_a_step_is_believed_only_until_the_next():
    gpu = costs({1: 0.030})
    gpu.measured_chunk(8, (0.029,))

    gpu.measured_chunk(101, (0.050,))

    assert gpu.chunk_s(101) == pytest.approx(0.050)


def test_one_stutter_of_a_chunk_does_not_change_the_picture():
    stage = StageCosts({1: 0.001})
    stage.measured_chunk(101, 0.101)

    stage.measured_chunk(101, 50.0)

    assert stage.chunk_s(101) < 0.2


def test_the_way_around_is_what_a_round_takes_beside_computing():
    both = costs({}, {})

    for _ in range(30):
        both.measured_step(2, (0.01, 0.01), round_s=0.03)

    assert both.around_s == pytest.approx(0.01, rel=0.05)


def test_the_costs_can_be_asked_by_one_thread_while_another_measures():
    class WhileAdded(float):
        def __radd__(self, other):
            stage.by_rows[8] = 0.1
            return other + float(self)

    stage = StageCosts()
    stage.by_rows.update({1: WhileAdded(0.1), 2: 0.2})

    assert stage.step_s(4) > 0.1
