"""What a model answers when it is asked alone: mlx-lm's own model in one process, batch of one, token by token.

Beside each token stand those that came near it, and how near: a batch takes its sums in another order, so an answer from it may
go another way where the gap is within rounding, and nowhere else. Of a model with experts this does not see that the choice of
an expert was as near.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
from mlx_lm.models.cache import make_prompt_cache

# Each of two logits may move by the noise, and what was seen in a few answers is not the largest there is: twice for each.
_MARGIN = 4
# Where no order of the sums made a difference (small models): float32's last place in a logit between 8 and 16.
_LEAST_NOISE = 2.0**-20


@dataclass(frozen=True)
class Draw:
    """How a token is chosen: the likeliest, or drawn at this temperature with this seed."""

    temperature: float = 0.0
    seed: int = 0


GREEDY = Draw()


@dataclass
class Run:
    """The answer to one prompt. `near`: at each place, other tokens and by how much they were not chosen.

    How much is in logits, or in probability where tokens are drawn: how far the random number was from drawing the other.
    """

    tokens: list[int] = field(default_factory=list)
    near: list[list[tuple[int, float]]] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    has_ended: bool = False  # by the model's own end mark, which is the last of the tokens


class Lone:
    """The model of one directory, on its own."""

    def __init__(self, model_dir: Path):
        if not mx.metal.is_available():
            mx.set_default_device(mx.cpu)
        self._model, self.tokenizer = mlx_lm.load(str(model_dir))[:2]
        self._eos = set(self.tokenizer.eos_token_ids)
        self._noise = 0.0

    @property
    def bound(self) -> float:
        """A gap up to this is a tie. In probability it may be less: what a logit moves by d moves no sum of them by more than d."""
        return _MARGIN * max(self._noise, _LEAST_NOISE)

    def run(self, prompt: Sequence[int], most_tokens: int, draw: Draw = GREEDY, forced: Sequence[int] = ()) -> Run:
        """`forced`: what the answer begins with, whatever the model finds likely."""
        run = Run()
        for logits in self._steps(prompt, most_tokens, run.tokens):
            place = len(run.tokens)
            logprobs = logits - mx.logsumexp(logits, keepdims=True)
            chosen, near = _drawn(logprobs, draw, place) if draw.temperature else _likeliest(logprobs)
            token = forced[place] if place < len(forced) else chosen
            run.tokens.append(token)
            run.near.append(near)
            run.logprobs.append(float(logprobs[token].item()))
            if token in self._eos:
                run.has_ended = True
                break
        return run

    def measure_noise(self, prompts: Sequence[Sequence[int]], tokens: int) -> float:
        """How far the logits of an answer are apart when they are computed in another order: in one piece, and in a batch."""
        for prompt in prompts:
            said = self.run(prompt, tokens).tokens
            alone, in_batch = self._steps(prompt, len(said), said), self._steps(prompt, len(said), said, rows=4)
            in_one = self._model(mx.array([[*prompt, *said[:-1]]]))[0, len(prompt) - 1 :]
            for step, batch_step, one in zip(alone, in_batch, in_one, strict=True):
                apart = mx.maximum(mx.abs(step - one).max(), mx.abs(step - batch_step).max())
                self._noise = max(self._noise, float(apart.item()))
        return self._noise

    def _steps(self, prompt: Sequence[int], most_tokens: int, said: list[int], rows: int = 1) -> Iterator[mx.array]:
        """The logits of each place; before the next place is asked for, `said` has this one's token."""
        cache: list[Any] = make_prompt_cache(self._model)
        newest = mx.array([list(prompt)] * rows)
        if len(prompt) > 1:
            self._model(newest[:, :-1], cache=cache)
            mx.eval([entry.state for entry in cache])
        newest = newest[:, -1:]
        for place in range(most_tokens):
            logits = self._model(newest, cache=cache)[-1, -1]
            mx.eval(logits)
            yield logits
            newest = mx.array([[said[place]]] * rows)


def _likeliest(logprobs: mx.array) -> tuple[int, list[tuple[int, float]]]:
    best, second = (int(token) for token in mx.argsort(-logprobs)[:2].tolist())
    return best, [(second, float((logprobs[best] - logprobs[second]).item()))]


def _drawn(logprobs: mx.array, draw: Draw, place: int) -> tuple[int, list[tuple[int, float]]]:
    """As the workers draw: with a seed made of the request's and the token's place, by mlx's own `categorical`.

    Which takes the token in whose part of the sum of all probabilities one random number falls.
    """
    seed = (draw.seed + place * 0x9E3779B97F4A7C15) % 2**64
    scaled = logprobs * (1.0 / draw.temperature)
    mx.random.seed(seed)
    chosen = int(mx.random.categorical(scaled[None]).item())
    mx.random.seed(seed)
    number = float(mx.random.uniform(shape=(1,)).item())
    ends: list[float] = mx.cumsum(mx.softmax(scaled, precise=True)).tolist()  # type: ignore[assignment]  # typed for every depth
    below = [(token, number - ends[token]) for token in range(max(0, chosen - 3), chosen)]
    above = [(token, ends[token - 1] - number) for token in range(chosen + 1, min(len(ends), chosen + 4))]
    return chosen, [(token, max(0.0, gap)) for token, gap in (*reversed(below), *above)]
