"""A llama GGUF, as mx.load gives it, in the names and layout of mlx-lm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx

_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OTHER_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_CONTROL = 3  # llama.cpp's token type of <|im_start|> and its kind


def read_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """config.json from the metadata of a llama GGUF."""

    def number(key: str) -> Any:
        return metadata[key].item()

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": number("llama.embedding_length"),
        "intermediate_size": number("llama.feed_forward_length"),
        "num_hidden_layers": number("llama.block_count"),
        "num_attention_heads": number("llama.attention.head_count"),
        "num_key_value_heads": number("llama.attention.head_count_kv"),
        "head_dim": number("llama.rope.dimension_count"),
        "max_position_embeddings": number("llama.context_length"),
        "rms_norm_eps": float(f"{number('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": number("llama.rope.freq_base"),
        "vocab_size": number("llama.vocab_size"),
        "tie_word_embeddings": True,
        "bos_token_id": number("tokenizer.ggml.bos_token_id"),
        "eos_token_id": number("tokenizer.ggml.eos_token_id"),
        "pad_token_id": number("tokenizer.ggml.padding_token_id"),
        "torch_dtype": "float32",
    }


def read_tensors(loaded: Mapping[str, mx.array], *, heads: int, kv_heads: int) -> dict[str, mx.array]:
    """Every weight in float32 under mlx-lm's name."""
    return {f"{_mlx_name(name)}.weight": _as_mlx_lm(name, weight, heads, kv_heads) for name, weight in _dequantized(loaded)}


def write_tokenizer(directory: Path, metadata: Mapping[str, Any], *, context_tokens: int) -> None:
    """tokenizer.json and tokenizer_config.json with the model's own chat template."""
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.decoders import ByteLevel as ByteLevelDecoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    types: list[int] = metadata["tokenizer.ggml.token_type"].tolist()
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(BPE({token: index for index, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    named = {name: tokens[metadata[f"tokenizer.ggml.{key}_token_id"].item()] for name, key in _NAMED_TOKENS.items()}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_tokens,
        "clean_up_tokenization_spaces": False,
        "chat_template": metadata["tokenizer.chat_template"],
        **named,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")


_NAMED_TOKENS = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}


def _dequantized(loaded: Mapping[str, mx.array]) -> Iterator[tuple[str, mx.array]]:
    """Each weight once, without its `.weight`; mx.load leaves Q4_1 and Q8_0 packed with scales and biases in groups of 32."""
    for key, weight in loaded.items():
        if not key.endswith(".weight"):
            continue
        name = key.removesuffix(".weight")
        scales = loaded.get(f"{name}.scales")
        if scales is None:
            yield name, weight.astype(mx.float32)
            continue
        bits = weight.shape[-1] * 32 // (scales.shape[-1] * 32)
        biases = loaded[f"{name}.biases"].astype(mx.float32)
        yield name, mx.dequantize(weight, scales.astype(mx.float32), biases, group_size=32, bits=bits)


def _mlx_name(name: str) -> str:
    if not name.startswith("blk."):
        return _OTHER_NAMES[name]
    _, layer, part = name.split(".")
    return f"model.layers.{layer}.{_LAYER_NAMES[part]}"


def _as_mlx_lm(name: str, weight: mx.array, heads: int, kv_heads: int) -> mx.array:
    """llama.cpp interleaves the rotary halves of q and k; mlx-lm wants them one after the other, as the hub has them.

    Without this the text is fluent for a few words and then nonsense.
    """
    if name.endswith(".attn_q"):
        return _deinterleaved(weight, heads)
    if name.endswith(".attn_k"):
        return _deinterleaved(weight, kv_heads)
    return weight


def _deinterleaved(weight: mx.array, heads: int) -> mx.array:
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
