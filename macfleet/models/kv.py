"""What a KV cache takes when it is kept in fewer bits."""

from __future__ import annotations

from dataclasses import dataclass

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
