"""What a KV cache takes: the room it is given for its tokens, and what they take when they are kept in fewer bits."""

from __future__ import annotations

from dataclasses import dataclass

# mlx-lm's KVCache and its like grow by so many tokens, from wherever they are: after a chunk of 300 there is room for 512.
STEP_TOKENS = 256
# Values that share a scale and a bias: mlx-lm's own choice first, the finer one for heads that it does not divide.
GROUP_SIZES = (64, 32)


@dataclass(frozen=True)
class KvQuantization:
    """Keys and values of attention over all tokens in `bits` (4 or 8), with a scale and a bias for each `group_size` of them."""

    bits: int
    group_size: int

    def bytes_for(self, values: int, element_bytes: int) -> int:
        """`element_bytes`: the width of activations, which scales and biases have too. Rounded up."""
        return -(-values * self.bits // 8) + 2 * element_bytes * -(-values // self.group_size)


def allocated_tokens(tokens: int) -> int:
    """For how many tokens a cache of `tokens` may have room: chunks can end anywhere, so up to a step more, less the one that began it."""
    return tokens + STEP_TOKENS - 1
