"""How the last rank picks a token: mlx-lm's samplers, one per request."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import mlx.core as mx
from mlx_lm.sample_utils import make_logits_processors, make_sampler

from macfleet.core.errors import MacfleetError
from macfleet.engines.protocol import Sampling
from macfleet.worker.engine import NotPicked, Picked
from macfleet.worker.mlx.grammar import Grammar

_WHOLE_ANSWER = 2**31


class Sampler:
    """The next token of one request.

    Random numbers depend on the request's seed and the token's place only: requests that run side by side do not disturb each
    other, and a replayed request says the same again.
    """

    def __init__(self, sampling: Sampling, vocabulary: int, grammar: Grammar | None = None):
        self._grammar = grammar
        self._wants = sampling.logprobs
        self._seed = sampling.seed if sampling.seed is not None else int.from_bytes(os.urandom(8), "little")
        self._is_random = sampling.temperature > 0
        self._pick = make_sampler(
            temp=sampling.temperature,
            top_p=sampling.top_p if sampling.top_p < 1 else 0.0,
            min_p=sampling.min_p,
            top_k=sampling.top_k if sampling.top_k < vocabulary else 0,
        )
        # The penalties count what was answered, not the prompt, as OpenAI's and vLLM's do.
        self._processors = make_logits_processors(
            logit_bias=dict(sampling.logit_bias) or None,
            presence_penalty=sampling.presence_penalty or None,
            presence_context_size=_WHOLE_ANSWER,
            frequency_penalty=sampling.frequency_penalty or None,
            frequency_context_size=_WHOLE_ANSWER,
        )
        self._answer: list[int] = []
        # Nothing to draw, to change or to report: the likeliest token is all there is to say.
        self.is_plain = not self._is_random and not self._processors and grammar is None and self._wants is None

    def took(self, token: int) -> Picked:
        """This token was picked elsewhere."""
        self._answer.append(token)
        return Picked(token)

    def pick(self, logits: mx.array) -> Picked:
        """logits: [1, vocabulary], of the last position."""
        for process in self._processors:
            logits = process(mx.array(self._answer, dtype=mx.int32), logits)
        if self._grammar is not None:
            logits = self._grammar.mask(logits)
        logprobs = logits - mx.logsumexp(logits, keepdims=True)
        if self._is_random:
            mx.random.seed((self._seed + len(self._answer) * 0x9E3779B97F4A7C15) % 2**64)
        token = int(self._pick(logprobs).item())
        self._answer.append(token)
        if self._grammar is not None:
            self._grammar.advance(token)
        if self._wants is None:
            return Picked(token)
        return Picked(token, _numbers(logprobs[0, token : token + 1])[0], self._most_likely(logprobs[0]))

    def _most_likely(self, logprobs: mx.array) -> tuple[tuple[int, float], ...]:
        if not self._wants:
            return ()
        best = mx.argsort(-logprobs)[: self._wants]
        found = zip(_numbers(best), _numbers(logprobs[best]), strict=True)
        # What a grammar rules out is no alternative; and JSON, in which this travels, has no minus infinity.
        return tuple((int(token), value) for token, value in found if value > -math.inf)


def pick_rows(samplers: Sequence[Sampler], logits: mx.array) -> tuple[Picked | NotPicked, ...]:
    """The next token of each row of logits [rows, vocabulary]; greedy rows, which are most, in one go."""
    plain = [row for row, sampler in enumerate(samplers) if sampler.is_plain]
    best = dict(zip(plain, _numbers(mx.argmax(logits, axis=-1)[mx.array(plain)]), strict=True)) if plain else {}
    return tuple(
        sampler.took(int(best[row])) if row in best else _picked(sampler, logits[row : row + 1]) for row, sampler in enumerate(samplers)
    )


def _picked(sampler: Sampler, logits: mx.array) -> Picked | NotPicked:
    try:
        return sampler.pick(logits)
    except MacfleetError as error:
        return NotPicked(str(error))


def _numbers(array: mx.array) -> list[float]:
    numbers: list[float] = array.tolist()  # type: ignore[assignment]  # typed for every depth of nesting
    return numbers
