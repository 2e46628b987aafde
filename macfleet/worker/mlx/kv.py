"""KV caches in fewer bits: mlx-lm's own, from the first token on."""

from __future__ import annotations

from typing import Any

from mlx_lm.models.cache import KVCache, QuantizedKVCache

from macfleet.models.kv import KvQuantization


def quantized(cache: list[Any], how: KvQuantization) -> list[Any]:
    """A fresh cache whose attention over all tokens is kept in fewer bits. Windows and states are small, and stay as they are.

    mlx-lm's own loop quantises after 5,000 tokens: by then the memory has been taken that the placement has not counted.
    """
    return [entry.to_quantized(how.group_size, how.bits) if type(entry) is KVCache else entry for entry in cache]


def is_quantized(cache: list[Any]) -> bool:
    """Whether any of it is kept in fewer bits."""
    return any(isinstance(entry, QuantizedKVCache) for entry in cache)
