"""Keeps one answer to its grammar: which tokens may come next, from llguidance."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx

from macfleet.core.errors import MacfleetError
from macfleet.engines.protocol import Form


class Grammar:
    """The place of one answer in its grammar. Raises MacfleetError for a grammar or a token that does not fit."""

    def __init__(self, model_dir: Path, form: Form):
        from llguidance import LLMatcher

        self._matcher = LLMatcher(_tokenizer(model_dir, form.eos), form.grammar)
        self._check()

    def mask(self, logits: mx.array) -> mx.array:
        """logits [1, vocabulary], with minus infinity for every token that may not come next."""
        import numpy
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

        vocabulary = logits.shape[-1]
        bits = allocate_token_bitmask(1, vocabulary)
        bits[:] = 0  # a model's head may be longer than its vocabulary: nothing behind it may be drawn
        fill_next_token_bitmask(self._matcher, bits)
        self._check()
        allowed = numpy.unpackbits(bits.view(numpy.uint8), axis=1, bitorder="little")[:, :vocabulary].astype(bool)
        return mx.where(mx.array(allowed), logits, -mx.inf)

    def advance(self, token: int) -> None:
        """This token was picked."""
        if not self._matcher.is_stopped():
            self._matcher.consume_token(token)
            self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise MacfleetError(f"the answer's grammar: {self._matcher.get_error().splitlines()[0]}")


@cache
def _tokenizer(model_dir: Path, eos: tuple[int, ...]) -> Any:
    from llguidance import LLTokenizer

    return LLTokenizer((model_dir / "tokenizer.json").read_text(encoding="utf-8"), eos_token=list(eos) or None)
