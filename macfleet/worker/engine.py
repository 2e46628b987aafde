"""What a worker asks of the one who computes. `worker/mlx` is the real one; it speaks bytes here, so that nothing else knows MLX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from macfleet.engines.protocol import Sampling


@dataclass(frozen=True)
class Tensor:
    """An array on its way: `data` is its row-major content. dtype: "int32", "float32", "float16", "bfloat16"."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview


@dataclass(frozen=True)
class Picked:
    """The token that the last rank chose, and the logarithms of probabilities if the request wants them."""

    token: int
    logprob: float | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class NotPicked:
    """Why a row has no next token; the other rows have theirs."""

    reason: str


@dataclass(frozen=True)
class Reuse:
    """The first `tokens` tokens of a prefix that was kept."""

    prefix: int
    tokens: int


class Reach(StrEnum):
    """How much of a kept prefix a model's caches can go on from."""

    ANY = "any"  # its first tokens, however many
    WHOLE = "whole"  # only all of it: a recurrent state cannot be wound back


class Engine(Protocol):
    """One stage. A slot is one request: its cache, and on the last stage its sampler. All calls come from one thread.

    A lane is several slots that are decoded as one batch; whoever calls says each time which, in which order. An exception of
    `feed`, `step` or `pick` fails the slots it was about only; they are still to be freed. A row whose slot is not open, or not at
    its position, is no error: `step` gives on something in its place, `pick` says why not, and the others go on.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors that were loaded."""
        ...

    @property
    def weight_bytes(self) -> int: ...

    @property
    def can_batch(self) -> bool:
        """Whether a lane may have more than one slot. The same on every stage of a model."""
        ...

    @property
    def reach(self) -> Reach:
        """The same on every stage of a model."""
        ...

    def open(self, slot: int, sampling: Sampling, reuse: Reuse | None = None) -> None: ...

    def feed(self, slot: int, position: int, inputs: Tensor) -> Tensor | None:
        """My layers applied to `inputs`, whose first token is the request's token number `position`.

        inputs: token ids [1, tokens] on the first stage, hidden states [1, tokens, d_model] behind it. Result: hidden states;
        None on the last stage, where only the cache is filled.
        """
        ...

    def step(self, lane: int, slots: Sequence[int], positions: Sequence[int], inputs: Tensor) -> Tensor:
        """One token of every slot: `inputs` [slots, 1] or [slots, 1, d_model], in this order. Not on the last stage."""
        ...

    def pick(self, lane: int, slots: Sequence[int], positions: Sequence[int], inputs: Tensor) -> tuple[Picked | NotPicked, ...]:
        """Last stage: `step`, and the token that follows in each row."""
        ...

    def keep(self, slot: int, prefix: int) -> None:
        """Remember the slot's cache as it stands."""
        ...

    def drop(self, prefix: int) -> None:
        """Forget a kept prefix; one that is not there is no error."""
        ...

    def free(self, slot: int) -> None:
        """Forget the slot; one that is not open is no error."""
        ...

    def close(self) -> None:
        """Give the memory back before the process ends."""
        ...
