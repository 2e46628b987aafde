"""Small models in memory: real safetensors files, with one byte pattern per tensor."""

import json

from macfleet.weights.index import read_index
from macfleet.weights.safetensors import render_header

WIDTHS = {"F16": 2, "F32": 4, "U8": 1, "U32": 4}
CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 8,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 16,
    "max_position_embeddings": 128,
}


def names(layers=4, prefix="model.", is_tied=False):
    per_layer = ["self_attn.q_proj.weight", "mlp.up_proj.weight", "input_layernorm.weight"]
    every = [f"{prefix}embed_tokens.weight", *[f"{prefix}layers.{layer}.{part}" for layer in range(layers) for part in per_layer]]
    return [*every, f"{prefix}norm.weight", *([] if is_tied else [prefix.removesuffix("model.") + "lm_head.weight"])]


def safetensors(tensors, dtype="F16"):
    """The bytes of a file with these names; the n-th tensor holds 4 * n times the byte n. `dtype`: of all, or a name's own."""
    sizes = [4 * (number + 1) for number in range(len(tensors))]
    types = [dtype[name] if isinstance(dtype, dict) else dtype for name in tensors]
    rows = [(name, kind, (size // WIDTHS[kind],), size) for name, kind, size in zip(tensors, types, sizes, strict=True)]
    header = render_header(rows, {"format": "mlx"})
    return header + b"".join(bytes([number + 1]) * size for number, size in enumerate(sizes))


def index_of(files, weight_map=None):
    index_json = None if weight_map is None else json.dumps({"weight_map": weight_map}).encode()
    sizes = {name: len(data) for name, data in files.items()}
    return read_index(sizes, lambda file, offset, length: files[file][offset : offset + length], index_json)


def assembled(stage_file, files):
    return stage_file.header + b"".join(files[part.file][part.offset : part.offset + part.length] for part in stage_file.ranges)
