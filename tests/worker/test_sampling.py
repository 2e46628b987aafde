import mlx.core as mx
import pytest

from macfleet.engines.protocol import Sampling
from macfleet.worker.mlx.sampling import Sampler

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
