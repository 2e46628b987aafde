from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from macfleet.worker.engine import Reach, Reuse
from macfleet.worker.prefixes import Prefixes

LONG = tuple(range(100))


def test_the_longest_shared_beginning_is_found():
    kept = Prefixes(Reach.ANY, 1000)
    kept.keep(LONG[:30])
    kept.keep((*LONG[:50], 7, 7))

    assert kept.find(LONG) == Reuse(2, 50)


def test_the_last_token_of_a_prompt_is_always_computed():
    kept = Prefixes(Reach.ANY, 1000)
    kept.keep(LONG)

    assert kept.find(LONG) == Reuse(1, 99)


def test_a_few_tokens_are_not_worth_it():
    kept = Prefixes(Reach.ANY, 1000)

    assert kept.keep(LONG[:10]) == (None, ())
    kept.keep(LONG)
    assert kept.find((*LONG[:10], 999, 998)) is None


def test_a_conversation_is_kept_once():
    kept = Prefixes(Reach.ANY, 1000)
    kept.keep(LONG[:40])

    assert kept.keep(LONG[:60]) == (2, (1,))
    assert kept.keep(LONG[:50]) == (None, ())


def test_a_state_that_cannot_be_wound_back_is_kept_at_every_length():
    kept = Prefixes(Reach.WHOLE, 1000)
    kept.keep(LONG[:40])
    kept.keep(LONG[:60])

    assert kept.find((*LONG[:40], 999, 998)) == Reuse(1, 40)
    assert kept.find((*LONG[:59], 999, 998)) == Reuse(1, 40)


def test_what_is_kept_already_is_not_kept_twice():
    kept = Prefixes(Reach.WHOLE, 1000)
    kept.keep(LONG)

    assert kept.keep(LONG) == (None, ())


def test_of_equals_the_one_used_last_is_found():
    kept = Prefixes(Reach.ANY, 1000)
    for last in (7, 8):
        kept.keep((*LONG[:50], last))

    assert kept.find(LONG) == Reuse(2, 50)


@given(st.lists(st.lists(st.integers(0, 1), min_size=16, max_size=24), max_size=8), st.lists(st.integers(0, 1), min_size=1, max_size=24))
def test_no_kept_prefix_shares_more_than_the_one_that_is_found(prompts, prompt):
    kept = Prefixes(Reach.ANY, 10_000)
    for tokens in prompts:
        kept.keep(tokens)
    shared = [len(list(takewhile(lambda pair: pair[0] == pair[1], zip(tokens, prompt[:-1], strict=False)))) for tokens in prompts]
    longest = max(shared, default=0)

    found = kept.find(prompt)

    assert (found.tokens if found else 0) == (longest if longest >= 16 else 0)


def test_the_longest_unused_goes_first():
    kept = Prefixes(Reach.ANY, 100)
    kept.keep(range(40))
    kept.keep(range(100, 140))
    kept.find([*range(40), 1])

    assert kept.keep(range(200, 240)) == (3, (2,))
    assert kept.shrink(50) == (1,)


def test_no_more_are_kept_than_may_be_however_short():
    kept = Prefixes(Reach.WHOLE, 1000, most=2)
    for number in range(3):
        dropped = kept.keep(range(number * 100, number * 100 + 20))

    assert dropped == (3, (1,))
    assert kept.shrink(1000, most=0) == (2, 3)
    assert kept.keep(range(40)) == (None, ())


def test_a_state_that_was_gone_on_from_goes_first():
    kept = Prefixes(Reach.WHOLE, 1000)
    for number in range(2):
        kept.keep(range(number * 100, number * 100 + 20))

    assert kept.find([*range(100, 120), 7]) == Reuse(2, 20)
    assert kept.shrink(1000, most=1) == (2,)


def test_what_is_forgotten_is_not_found():
    kept = Prefixes(Reach.ANY, 1000)
    kept.keep(LONG)

    kept.forget(1)

    assert (kept.find(LONG), kept.tokens) == (None, 0)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=40), max_size=12), st.sampled_from(Reach))
def test_what_is_found_is_kept_and_begins_the_prompt(prompts, reach):
    kept, known = Prefixes(reach, 120), {}
    for prompt in prompts:
        found = kept.find(prompt)
        if found:
            assert known[found.prefix][: found.tokens] == tuple(prompt[: found.tokens])
            assert found.tokens < len(prompt)
        number, dropped = kept.keep(prompt)
        if number is not None:
            known[number] = tuple(prompt)
        for one in dropped:
            known.pop(one)
        assert sum(map(len, known.values())) == kept.tokens <= 120
