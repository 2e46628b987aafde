"""How the last rank picks tokens: mlx-lm's samplers, one per request, and all rows of a batch computed in one go."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import mlx.core as mx
from mlx_lm.sample_utils import make_logits_processors, make_sampler

from macfleet.core.errors import MacfleetError
from macfleet.engines.protocol import Sampling
from macfleet.worker.engine import NotPicked, Picked
from macfleet.worker.mlx.grammar import Grammar

log = logging.getLogger("macfleet.worker")

T = TypeVar("T")
Drawn = list[mx.array]  # the token; if wanted, the logarithm of its probability, and then the likeliest tokens and theirs

_WHOLE_ANSWER = 2**31


class Sampler:
    """The next token of one request.

    Random numbers depend on the request's seed and the token's place only: requests that run side by side do not disturb each
    other, and a replayed request says the same again.
    """

    def __init__(self, sampling: Sampling, vocabulary: int, grammar: Grammar | None = None):
        self._grammar = grammar
        self._wants = None if sampling.logprobs is None else min(sampling.logprobs, vocabulary)
        self._seed = sampling.seed if sampling.seed is not None else int.from_bytes(os.urandom(8), "little")
        self._is_random = sampling.temperature > 0
        self._top_p = sampling.top_p if sampling.top_p < 1 else 0.0
        self._top_k = sampling.top_k if sampling.top_k < vocabulary else 0
        self._has_both = self._top_p > 0 and self._top_k > 0
        self._pick = make_sampler(
            temp=sampling.temperature,
            top_p=0.0 if self._has_both else self._top_p,
            min_p=sampling.min_p,
            top_k=0 if self._has_both else self._top_k,
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
        self._is_plain = not self._is_random and not self._processors and grammar is None and self._wants is None

    def pick(self, logits: mx.array) -> Picked:
        """logits: [1, vocabulary], of the last position."""
        return self.take(self.draw(logits, mx.argmax(logits, axis=-1)))

    def draw(self, logits: mx.array, likeliest: mx.array) -> Drawn:
        """What there is to compute. logits: [1, vocabulary]; likeliest: [1], its best token."""
        if self._is_plain:
            return [likeliest]
        for process in self._processors:
            logits = process(mx.array(self._answer, dtype=mx.int32), logits)
        if self._grammar is not None:
            logits = self._grammar.mask(logits)
        if self._wants is not None or (self._is_random and self._top_p):
            logits = _logprobs(logits)
        token = self._token(logits)
        return [token] if self._wants is None else [token, *_reported(logits[0], token, self._wants)]

    def take(self, drawn: Drawn) -> Picked:
        """What was computed is the answer's next token."""
        token, *wanted = (_numbers(array) for array in drawn)
        picked = int(token[0])
        self._answer.append(picked)
        if self._grammar is not None:
            self._grammar.advance(picked)
        if not wanted:
            return Picked(picked)
        return Picked(picked, wanted[0][0], _most_likely(*wanted[1:]) if self._wants else ())

    def _token(self, logits: mx.array) -> mx.array:
        if self._is_random and self._has_both:
            logits = _within_both(logits, self._top_p, self._top_k)
        if self._is_random:
            # What is drawn keeps the number it takes here, though it is computed when others have been seeded.
            mx.random.seed((self._seed + len(self._answer) * 0x9E3779B97F4A7C15) % 2**64)
        token: mx.array = self._pick(logits)
        return token


def pick_rows(samplers: Sequence[Sampler | NotPicked], logits: mx.array) -> tuple[Picked | NotPicked, ...]:
    """The next token of each row of logits [rows, vocabulary]; all are computed before one is read, because to read is to wait.

    What goes wrong with one request's options is that row's answer. Whatever computing itself raises is about all of them.
    """
    best = mx.argmax(logits, axis=-1)
    rows = [
        sampler if isinstance(sampler, NotPicked) else guarded(partial(_drawn, sampler, logits[row : row + 1], best[row : row + 1]))
        for row, sampler in enumerate(samplers)
    ]
    mx.eval([row[1] for row in rows if not isinstance(row, NotPicked)])
    return tuple(row if isinstance(row, NotPicked) else guarded(partial(row[0].take, row[1])) for row in rows)


def guarded(make: Callable[[], T]) -> T | NotPicked:
    """What `make` makes for one request. Its errors, of whatever library, are that request's and nobody else's."""
    try:
        return make()
    except MacfleetError as error:
        return NotPicked(str(error))
    except Exception as error:
        log.exception("a request's options")
        return NotPicked(str(error) or type(error).__name__)


def _drawn(sampler: Sampler, logits: mx.array, likeliest: mx.array) -> tuple[Sampler, Drawn]:
    return sampler, sampler.draw(logits, likeliest)


def _logprobs(logits: mx.array) -> mx.array:
    """In float32: a bfloat16 has three digits, too few to tell what stands above a share of the whole."""
    wide = logits.astype(mx.float32)
    return wide - mx.logsumexp(wide, keepdims=True)


def _within_both(logprobs: mx.array, top_p: float, top_k: int) -> mx.array:
    """What mlx-lm leaves of them with top_p and then top_k. That sorts the whole vocabulary, though what is likelier than one of
    the `top_k` is among them."""
    few = mx.argpartition(logprobs, kth=-top_k, axis=-1)[..., -top_k:]
    values = mx.take_along_axis(logprobs, few, axis=-1)
    falling = -mx.sort(-values, axis=-1)
    above = mx.cumsum(mx.exp(falling), axis=-1, inclusive=False)
    least = mx.where(above < top_p, falling, mx.inf).min(axis=-1, keepdims=True)
    nothing = mx.full(logprobs.shape, -mx.inf)
    return mx.put_along_axis(nothing, few, mx.where(values < least, -mx.inf, values), axis=-1)


def _reported(logprobs: mx.array, token: mx.array, count: int) -> list[mx.array]:
    """logprobs: [vocabulary]; token: [1]."""
    if not count:
        return [logprobs[token]]
    best = mx.argpartition(logprobs, kth=-count)[-count:]
    return [logprobs[token], best, logprobs[best]]


def _most_likely(tokens: Sequence[float], logprobs: Sequence[float]) -> tuple[tuple[int, float], ...]:
    falling = sorted(zip(tokens, logprobs, strict=True), key=lambda found: (-found[1], found[0]))
    # What a grammar rules out is no alternative; and JSON, in which this travels, has no minus infinity.
    return tuple((int(token), value) for token, value in falling if value > -math.inf)


def _numbers(array: mx.array) -> list[float]:
    numbers: list[float] = array.tolist()  # type: ignore[assignment]  # typed for every depth of nesting
    return numbers
