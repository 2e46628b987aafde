from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.api.stop import StopMatcher


def shown(stops, pieces):
    matcher = StopMatcher(stops)
    steps = [matcher.push(piece) for piece in pieces]
    return steps + ([] if matcher.is_hit else [matcher.flush()]), matcher.is_hit


@pytest.mark.parametrize(
    ("stops", "pieces", "steps"),
    [
        ((), ["a", "b"], ["a", "b", ""]),
        (("END",), ["one E", "ND two"], ["one ", ""]),
        (("END",), ["one E", "very"], ["one ", "Every", ""]),
        (("END",), ["one EN"], ["one ", "EN"]),
        (("\n\n",), ["a\n", "b\n", "\nc"], ["a", "\nb", ""]),
        (("aab",), ["a", "a", "a", "b"], ["", "", "a", ""]),
        (("abcd", "bc"), ["abcd"], ["a"]),
        (("x",), ["x"], [""]),
    ],
)
def test_text_is_held_back_only_while_it_may_be_a_stop_string(stops, pieces, steps):
    assert shown(stops, pieces)[0] == steps


def test_after_a_hit_nothing_more_comes():
    matcher = StopMatcher(("stop",))

    assert matcher.push("a stop b") == "a "
    assert matcher.push("more") == ""
    assert matcher.flush() == ""


@given(
    text=st.text(alphabet="abc", max_size=30),
    stops=st.lists(st.text(alphabet="abc", min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(0, 30), max_size=8),
)
def test_the_result_does_not_depend_on_how_the_text_is_cut(text, stops, cuts):
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]

    steps, is_hit = shown(stops, pieces)

    whole, whole_hit = shown(stops, [text])
    assert ("".join(steps), is_hit) == ("".join(whole), whole_hit)


@given(text=st.text(alphabet="abc", max_size=30), stops=st.lists(st.text(alphabet="abc", min_size=1, max_size=4), min_size=1, max_size=3))
def test_no_stop_string_is_ever_shown_and_nothing_else_is_lost(text, stops):
    steps, is_hit = shown(stops, list(text))

    result = "".join(steps)
    assert text.startswith(result)
    assert not any(stop in result for stop in stops)
    assert is_hit == any(stop in text for stop in stops)
    assert is_hit or result == text
