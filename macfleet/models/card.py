"""What must be known of a model to place it: bytes of each layer, cache bytes of each token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelCard:
    """One set of weights.

    `layer_bytes`, `kv_bytes_per_layer` (per token, 16 bit) and `state_bytes_per_layer` (per sequence, whatever its length)
    have one entry per layer. `embed_bytes` is what the first stage holds besides its layers, `head_bytes` (norm and head)
    what the last one does; with tied embeddings the head is the embedding, which the last stage then holds too.
    `is_exact`: read from the weights themselves; otherwise from a table, good to a few per cent.
    `family` is the name mlx-lm has for the architecture.
    """

    name: str
    repo: str
    family: str
    quantization: str
    disk_bytes: int
    hidden: int
    vocab: int
    context_tokens: int
    layer_bytes: tuple[int, ...]
    embed_bytes: int
    head_bytes: int
    is_tied: bool
    kv_bytes_per_layer: tuple[int, ...]
    state_bytes_per_layer: tuple[int, ...]
    is_exact: bool
    parameters_b: float | None = None
    active_b: float | None = None
    license: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not len(self.layer_bytes) == len(self.kv_bytes_per_layer) == len(self.state_bytes_per_layer):
            raise ValueError(f"{self.name}: the lists per layer differ in length")

    @property
    def layers(self) -> int:
        return len(self.layer_bytes)

    @property
    def kv_bytes_per_token(self) -> int:
        """Of the whole model."""
        return sum(self.kv_bytes_per_layer)

    def weight_bytes(self, first_layer: int, last_layer: int) -> int:
        """What a stage with the layers first..last (last exclusive) holds, embedding and head included where they belong."""
        is_first, is_last = first_layer == 0, last_layer == self.layers
        ends = self.embed_bytes * is_first + self.head_bytes * is_last
        if self.is_tied and is_first and is_last:
            ends -= self.embed_bytes  # one copy serves both
        return sum(self.layer_bytes[first_layer:last_layer]) + ends

    def cache_bytes(self, first_layer: int, last_layer: int, tokens: int, sequences: int) -> int:
        """What the caches of a stage take when `sequences` requests are `tokens` long each (last exclusive)."""
        per_sequence = tokens * sum(self.kv_bytes_per_layer[first_layer:last_layer])
        return sequences * (per_sequence + sum(self.state_bytes_per_layer[first_layer:last_layer]))
