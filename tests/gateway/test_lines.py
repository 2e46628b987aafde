"""Who is next when several API keys want places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.gateway.lines import DEFAULT, Lines


def served(lines, count):
    """The next ones that get a place, each freeing it at once."""
    found = []
    for _ in range(count):
        one = lines.give_place()
        lines.free_place(one[0])
        found.append(one)
    return found


def test_with_one_line_it_is_first_come_first_served():
    lines = Lines(1, 64, {})
    for number in range(3):
        lines.join(DEFAULT, (DEFAULT, number))

    assert [number for _, number in served(lines, 3)] == [0, 1, 2]


def test_keys_are_served_in_turn_however_many_each_one_asks():
    lines = Lines(1, 64, {"a": None, "b": None, "c": None})
    for number in range(9):
        lines.join("a", ("a", number))
    for number in range(2):
        lines.join("b", ("b", number))
    lines.join("c", ("c", 0))

    assert "".join(key for key, _ in served(lines, 7)) == "abcabaa"


def test_places_are_shared_not_turns():
    """The long requests of one key hold places; a key that comes later gets as many before it gets another one."""
    lines = Lines(4, 64, {"a": None, "b": None})
    for number in range(6):
        lines.join("a", ("a", number))
    running = [lines.give_place() for _ in range(4)]
    for number in range(6):
        lines.join("b", ("b", number))

    for key, _ in running[:2]:
        lines.free_place(key)
    running = [lines.give_place(), lines.give_place()]

    assert [key for key, _ in running] == ["b", "b"]
    assert lines.give_place() is None


def test_a_key_never_has_more_places_than_its_own():
    lines = Lines(4, 64, {"a": 2})
    for number in range(4):
        lines.join("a", ("a", number))

    given = [lines.give_place() for _ in range(4)]

    assert given == [("a", 0), ("a", 1), None, None]
    lines.free_place("a")
    assert lines.give_place() == ("a", 2)


def test_one_key_does_not_fill_the_queue_for_the_others():
    lines = Lines(1, 6, {"a": None, "b": None})
    lines.join(DEFAULT, (DEFAULT, 0))
    lines.give_place()
    for number in range(2):
        assert lines.free("a") == 2 - number
        lines.join("a", ("a", number))

    assert lines.free("a") == 0
    assert lines.free("b") == 2


def test_without_a_queue_a_request_finds_a_place_or_nothing():
    lines = Lines(1, 0, {})

    assert lines.free(DEFAULT) == 1
    lines.join(DEFAULT, (DEFAULT, 0))
    lines.give_place()
    assert lines.free(DEFAULT) == 0


def test_there_is_room_for_the_free_places_and_the_queue():
    lines = Lines(4, 6, {"a": 2})

    assert (lines.free("a"), lines.most("a"), lines.most(DEFAULT)) == (5, 5, 7)
    for number in range(3):
        lines.join("a", ("a", number))
        lines.give_place()
    assert (lines.free("a"), lines.free(DEFAULT)) == (2, 5)


@pytest.mark.parametrize(("own", "others_in_use", "waiting", "expected_s"), [(None, 0, 0, 2.5), (1, 0, 0, 10.0), (None, 1, 3, 20.0)])
def test_who_is_refused_hears_how_long_it_would_take(own, others_in_use, waiting, expected_s):
    lines = Lines(4, 64, {"a": own, "b": None})
    for _ in range(others_in_use):
        lines.join("b", ("b", 0))
    for number in range(waiting):
        lines.join("a", ("a", number))

    assert lines.wait_s("a", usual_duration_s=10.0) == expected_s


KEYS = st.sampled_from([DEFAULT, "a", "b"])


@given(st.lists(st.one_of(KEYS.map(lambda key: ("join", key)), st.just(("give",)), st.just(("free",))), max_size=60))
def test_nobody_is_lost_and_no_place_is_given_twice(acts):
    lines, running, joined, given_places = Lines(3, 64, {"a": 1, "b": None}), [], 0, 0
    for act in acts:
        match act:
            case ("join", key):
                lines.join(key, (key, joined))
                joined += 1
            case ("give",):
                if (one := lines.give_place()) is not None:
                    running.append(one)
                    given_places += 1
            case ("free",) if running:
                lines.free_place(running.pop(0)[0])
        assert lines.running == len(running) <= 3
        assert sum(key == "a" for key, _ in running) <= 1
        assert lines.waiting == joined - given_places
