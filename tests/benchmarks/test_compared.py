"""The soak's judgement: what it takes for equal, for a tie, for wrong."""

from dataclasses import replace

import pytest
from asked import Asked, Heard, Style
from compared import Comparison, Kind
from lone import Draw, Lone
from questions import Question
from tiny_words import make_tiny_words

PROMPT = (11, 22, 33)
QUESTION = Question((), "w011 w022 w033", PROMPT)
DRAWN = replace(QUESTION, draw=Draw(0.8, seed=5))
TOKENS = 12


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    return Lone(make_tiny_words(tmp_path_factory.mktemp("model") / "tiny"))


def words(tokens):
    return " ".join(f"w{token:03d}" for token in tokens)


def judged(lone, heard, question=QUESTION, **style):
    asked = Asked(1, question, Style(TOKENS, **style), heard)
    return [(verdict.kind, verdict.why) for verdict in Comparison(lone, [asked]).verdicts(asked)]


def whole(tokens, reason="length"):
    return Heard([words(tokens)], [reason], [[]], prompt_tokens=3, tokens=len(tokens))


@pytest.mark.parametrize("question", [QUESTION, DRAWN])
def test_what_the_lone_model_says_is_equal(lone, question):
    said = lone.run(PROMPT, TOKENS, question.draw).tokens

    assert judged(lone, whole(said), question) == [(Kind.EQUAL, "")]


def test_another_answers_token_in_the_middle_is_wrong_and_shown(lone):
    said = lone.run(PROMPT, TOKENS).tokens
    mixed = [*said[:6], (said[6] + 1) % 512, *said[7:]]

    ((kind, why),) = judged(lone, whole(mixed))

    assert kind is Kind.WRONG
    assert why.startswith("token 6: ")


@pytest.mark.parametrize("change", [lambda said: said[:-1], lambda said: [*said, 40], lambda said: [said[0], *said], lambda said: said[1:]])
def test_a_token_too_few_or_too_many_is_wrong(lone, change):
    kinds = [kind for kind, _ in judged(lone, whole(change(lone.run(PROMPT, TOKENS).tokens)))]

    assert Kind.WRONG in kinds
    assert Kind.EQUAL not in kinds


def test_the_way_of_a_runner_up_that_is_far_behind_is_wrong_and_of_one_that_ties_is_a_tie(lone):
    alone = lone.run(PROMPT, TOKENS)
    runner_up, gap = alone.near[4][0]
    other = whole(lone.run(PROMPT, TOKENS, forced=(*alone.tokens[:4], runner_up)).tokens)
    forgiving = WithBound(lone, gap)

    assert [kind for kind, _ in judged(lone, other)] == [Kind.WRONG]
    assert [kind for kind, _ in judged(forgiving, other)] == [Kind.TIED]


def test_what_follows_a_tie_has_to_be_right_too(lone):
    alone = lone.run(PROMPT, TOKENS)
    runner_up, gap = alone.near[4][0]

    assert [kind for kind, _ in judged(WithBound(lone, gap), whole([*alone.tokens[:4], runner_up, *alone.tokens[5:]]))] == [Kind.WRONG]


def test_who_left_heard_the_beginning(lone):
    said = lone.run(PROMPT, TOKENS).tokens
    left = Heard([words(said[:5])], [None], [[]], has_left=True)
    left_wrong = Heard([words([*said[:4], 9])], [None], [[]], has_left=True)

    assert [kind for kind, _ in judged(lone, left)] == [Kind.EQUAL]
    assert [kind for kind, _ in judged(lone, left_wrong)] == [Kind.WRONG]


def test_a_stop_word_ends_the_answer_before_it(lone):
    said = lone.run(PROMPT, TOKENS).tokens
    stopped = Heard([words(said[:7])], ["stop"], [[]], tokens=8)

    assert judged(lone, stopped, stops=(f" w{said[7]:03d}",)) == [(Kind.EQUAL, "")]
    assert judged(lone, whole(said), stops=(f" w{said[7]:03d}",))[0][0] is Kind.WRONG


def test_log_probabilities_are_the_lone_models(lone):
    alone = lone.run(PROMPT, TOKENS)
    right, wrong = whole(alone.tokens), whole(alone.tokens)
    right.logprobs, wrong.logprobs = [alone.logprobs], [[*alone.logprobs[:-1], alone.logprobs[-1] + 1e-3]]

    assert judged(lone, right, has_logprobs=True) == [(Kind.EQUAL, "")]
    assert judged(lone, wrong, has_logprobs=True)[0][0] is Kind.WRONG


def test_each_of_several_choices_is_drawn_with_its_own_seed(lone):
    said = [lone.run(PROMPT, TOKENS, Draw(0.8, seed)).tokens for seed in (5, 6)]
    heard = Heard([words(tokens) for tokens in said], ["length"] * 2, [[], []], tokens=2 * TOKENS)

    assert judged(lone, heard, DRAWN, choices=2) == [(Kind.EQUAL, "")] * 2
    heard.texts.reverse()
    assert [kind for kind, _ in judged(lone, heard, DRAWN, choices=2)] == [Kind.WRONG] * 2


def test_an_error_is_a_lost_answer(lone):
    assert judged(lone, Heard([""], [None], [[]], error="ReadTimeout")) == [(Kind.LOST, "ReadTimeout")]


def test_drawing_is_the_workers_own(lone):
    """The lone run draws by itself; it must be what a worker's sampler draws from the same numbers."""
    import mlx.core as mx

    from macfleet.engines.protocol import Sampling
    from macfleet.worker.mlx.sampling import Sampler

    sampler, alone = Sampler(Sampling(temperature=0.8, seed=5), 512), lone.run(PROMPT, TOKENS, DRAWN.draw)

    picked = [sampler.pick(lone._model(mx.array([[*PROMPT, *alone.tokens[:place]]]))[:, -1, :]).token for place in range(TOKENS)]

    assert picked == alone.tokens


class WithBound:
    """The same model with another opinion of what is a tie."""

    def __init__(self, lone, bound):
        self.bound, self.tokenizer, self.run = bound, lone.tokenizer, lone.run
