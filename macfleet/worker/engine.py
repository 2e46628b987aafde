"""What a worker asks of the one who computes. `worker/mlx` is the real one; it speaks bytes here, so that nothing else knows MLX."""

from __future__ import annotations

from dataclasses import dataclass
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


class Engine(Protocol):
    """One stage. A slot is one request: its cache, and on the last stage its sampler. All calls come from one thread.

    An exception of `feed` or `pick` fails that request only; its slot is still to be freed.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors that were loaded."""
        ...

    @property
    def weight_bytes(self) -> int: ...

    def open(self, slot: int, sampling: Sampling) -> None: ...

    def feed(self, slot: int, position: int, inputs: Tensor) -> Tensor | None:
        """My layers applied to `inputs`, whose first token is the request's token number `position`.

        inputs: token ids [1, tokens] on the first stage, hidden states [1, tokens, d_model] behind it. Result: hidden states;
        None on the last stage, where only the cache is filled.
        """
        ...

    def pick(self, slot: int, position: int, inputs: Tensor) -> Picked:
        """Last stage: `feed`, and the token that follows."""
        ...

    def free(self, slot: int) -> None:
        """Forget the slot; one that is not open is no error."""
        ...

    def close(self) -> None:
        """Give the memory back before the process ends."""
        ...
