import mlx.core as mx
import pytest
from mlx_lm.sample_utils import make_sampler

from macfleet.engines.protocol import Sampling
from macfleet.worker.engine import NotPicked
from macfleet.worker.mlx.sampling import Sampler, pick_rows

LOGITS = mx.array([[0.0, 1.0, 3.0, 2.9]])


def picks(sampling, count=40):
    sampler = Sampler(sampling, 4)
    return [sampler.pick(LOGITS + 0).token for _ in range(count)]


def test_temperature_zero_is_the_most_likely_token():
    assert set(picks(Sampling())) == {2}


@pytest.mark.parametrize(
    ("sampling", "possible"),
    [
        (Sampling(temperature=1.0, seed=1, top_k=1), {2}),
        (Sampling(temperature=1.0, seed=1, top_k=2), {2, 3}),
        (Sampling(temperature=1.0, seed=1, top_k=99), {0, 1, 2, 3}),
        (Sampling(temperature=1.0, seed=1, top_p=0.5), {2, 3}),
        (Sampling(temperature=1.0, seed=1, min_p=0.5), {2, 3}),
        (Sampling(logit_bias={0: 100.0}), {0}),
    ],
)
def test_only_what_the_options_leave_is_picked(sampling, possible):
    assert set(picks(sampling, 120)) <= possible
    assert len(set(picks(sampling, 120))) > 1 or len(possible) == 1


def test_the_same_seed_says_the_same_and_another_does_not():
    assert picks(Sampling(temperature=1.0, seed=5)) == picks(Sampling(temperature=1.0, seed=5))
    assert picks(Sampling(temperature=1.0, seed=5)) != picks(Sampling(temperature=1.0, seed=6))


def test_without_a_seed_every_request_is_new():
    assert picks(Sampling(temperature=1.0)) != picks(Sampling(temperature=1.0))


def test_a_presence_penalty_moves_on_and_a_frequency_penalty_counts():
    assert picks(Sampling(presence_penalty=1.0), 3) == [2, 3, 2]
    assert picks(Sampling(frequency_penalty=2.0), 5) == [2, 3, 1, 2, 3]


def test_logprobs_are_of_all_tokens():
    picked = Sampler(Sampling(logprobs=4), 4).pick(LOGITS)

    assert picked.logprob == pytest.approx(3.0 - mx.logsumexp(LOGITS).item(), abs=1e-5)
    assert [token for token, _ in picked.top_logprobs] == [2, 3, 1, 0]
    assert Sampler(Sampling(logprobs=0), 4).pick(LOGITS).top_logprobs == ()


def test_what_cannot_come_next_is_no_alternative():
    impossible = mx.array([[0.0, -mx.inf, 3.0, -mx.inf]])

    picked = Sampler(Sampling(logprobs=4), 4).pick(impossible)

    assert [token for token, _ in picked.top_logprobs] == [2, 0]


def test_of_equally_likely_tokens_the_first_is_named_first():
    picked = Sampler(Sampling(logprobs=3), 5).pick(mx.array([[2.0, 1.0, 2.0, 2.0, -1.0]]))

    assert [token for token, _ in picked.top_logprobs] == [0, 2, 3]


@pytest.mark.parametrize(("top_p", "top_k"), [(0.1, 20), (0.5, 20), (0.9, 20), (0.9, 500), (0.99, 3), (0.5, 1)])
def test_top_p_and_top_k_together_leave_what_mlx_lm_leaves(top_p, top_k):
    logits = mx.random.normal((1, 1000), key=mx.random.key(0)) * 2
    ours = [Sampler(Sampling(temperature=1.0, top_p=top_p, top_k=top_k, seed=seed), 1000) for seed in range(60)]
    theirs = make_sampler(temp=1.0, top_p=top_p, top_k=top_k)

    assert [sampler.pick(logits).token for sampler in ours] == [drawn(theirs, logits, seed) for seed in range(60)]


def drawn(sampler, logits, seed):
    mx.random.seed(seed)
    return sampler(logits - mx.logsumexp(logits)).item()


SIDE_BY_SIDE = (
    Sampling(),
    Sampling(temperature=1.0, seed=1),
    Sampling(temperature=0.7, top_p=0.8, top_k=20, seed=2, logprobs=5),
    Sampling(temperature=1.0, top_p=0.9, seed=1),
    Sampling(presence_penalty=1.0, logprobs=0),
    Sampling(temperature=1.5, min_p=0.02, frequency_penalty=1.0, seed=3),
)


def test_who_shares_a_batch_draws_what_it_would_alone():
    places = [mx.random.normal((len(SIDE_BY_SIDE), 200), key=mx.random.key(place)) * 3 for place in range(8)]
    together, alone = ([Sampler(sampling, 200) for sampling in SIDE_BY_SIDE] for _ in range(2))

    shared = [pick_rows(together, logits) for logits in places]

    assert shared == [tuple(sampler.pick(logits[row : row + 1]) for row, sampler in enumerate(alone)) for logits in places]


class Unkind:
    """A grammar whose library raises what it likes, at `mask` or at `advance`."""

    def __init__(self, raises_at):
        self._raises_at = raises_at

    def mask(self, logits):
        if self._raises_at == "mask":
            raise ValueError("no such state")
        return logits

    def advance(self, token):
        raise ValueError("no such state")


@pytest.mark.parametrize("raises_at", ["mask", "advance"])
def test_what_goes_wrong_with_one_row_is_the_answer_to_that_row(raises_at):
    rows = [Sampler(Sampling(), 4), Sampler(Sampling(), 4, Unkind(raises_at)), NotPicked("it has no sampler"), Sampler(Sampling(), 4)]

    first, *bad, last = pick_rows(rows, mx.concatenate([LOGITS] * 4))

    assert (first.token, last.token) == (2, 2)
    assert bad == [NotPicked("no such state"), NotPicked("it has no sampler")]
