"""What must be known of a model to place it: bytes of each layer, cache bytes of each token."""

from __future__ import annotations

from dataclasses import dataclass, replace

from macfleet.core.errors import PlacementRefused
from macfleet.models.experts import share_per_step
from macfleet.models.kv import KvQuantization, allocated_tokens


@dataclass(frozen=True)
class ModelCard:
    """One set of weights.

    `layer_bytes`, `kv_bytes_per_layer` (per token, 16 bit) and `state_bytes_per_layer` (per sequence, whatever its length)
    have one entry per layer. `embed_bytes` is what the first stage holds besides its layers, `head_bytes` (norm and head)
    what the last one does; with tied embeddings the head is the embedding, which the last stage then holds too.
    `is_exact`: read from the weights themselves; otherwise from a table, good to a few per cent.
    `expert_bytes_per_layer` is what of `layer_bytes` are experts, of which a token uses `expert_share`; empty: there are none.
    `element_bytes` is the width of activations and so of the cache; `kv_group_size` how many values of a cache in fewer bits
    would share a scale, None where mlx-lm cannot keep it so.
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
    element_bytes: int = 2
    kv_group_size: int | None = None
    expert_bytes_per_layer: tuple[int, ...] = ()
    expert_share: float = 1.0

    def __post_init__(self) -> None:
        experts = self.expert_bytes_per_layer or self.layer_bytes
        if not len(self.layer_bytes) == len(self.kv_bytes_per_layer) == len(self.state_bytes_per_layer) == len(experts):
            raise ValueError(f"{self.name}: the lists per layer differ in length")

    @property
    def layers(self) -> int:
        return len(self.layer_bytes)

    @property
    def kv_bytes_per_token(self) -> int:
        """Of the whole model."""
        return sum(self.kv_bytes_per_layer)

    def kv_in(self, bits: int) -> KvQuantization:
        """How its KV cache is kept in so many bits. Raises PlacementRefused for a model whose cache cannot be."""
        if self.kv_group_size is None:
            raise PlacementRefused(
                f"{self.name} cannot keep its KV cache in {bits} bits",
                truths=(f'mlx-lm has no such cache for the family "{self.family}", or for heads of its size',),
                hint="leave out `kv_bits` for the service",
            )
        return KvQuantization(bits, self.kv_group_size)

    def with_kv(self, kv: KvQuantization) -> ModelCard:
        """The same model with its KV cache kept so. What is kept per sequence (windows, states) stays as it is."""
        per_layer = tuple(kv.bytes_for(kv_bytes // self.element_bytes, self.element_bytes) for kv_bytes in self.kv_bytes_per_layer)
        return replace(self, kv_bytes_per_layer=per_layer)

    def weight_bytes(self, first_layer: int, last_layer: int) -> int:
        """What a stage with the layers first..last (last exclusive) holds, embedding and head included where they belong."""
        is_first, is_last = first_layer == 0, last_layer == self.layers
        ends = self.embed_bytes * is_first + self.head_bytes * is_last
        if self.is_tied and is_first and is_last:
            ends -= self.embed_bytes  # one copy serves both
        return sum(self.layer_bytes[first_layer:last_layer]) + ends

    def step_bytes(self, first_layer: int, last_layer: int, rows: int) -> int:
        """What of its weights a stage with these layers (last exclusive) reads for a decoding step of so many requests.

        All layers, of their experts those that are used, and the head; of the embedding only a row for each, which is nothing.
        """
        unused = (1.0 - share_per_step(self.expert_share, rows)) * sum(self.expert_bytes_per_layer[first_layer:last_layer])
        return sum(self.layer_bytes[first_layer:last_layer]) - int(unused) + self.head_bytes * (last_layer == self.layers)

    def cache_bytes(self, first_layer: int, last_layer: int, tokens: int, sequences: int) -> int:
        """What the caches of a stage take when `sequences` requests are `tokens` long each (last exclusive), with the step they grow by."""
        per_sequence = allocated_tokens(tokens) * sum(self.kv_bytes_per_layer[first_layer:last_layer])
        return sequences * (per_sequence + sum(self.state_bytes_per_layer[first_layer:last_layer]))
