import json

import mlx.core as mx
from tokenizers import Tokenizer

from macfleet.lab.gguf import read_tensors, write_tokenizer


def interleave_as_llama_cpp_does(weight, heads):
    """`permute` of llama.cpp's convert_hf_to_gguf.py."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def test_rotary_halves_of_q_and_k_are_put_back_as_the_hub_has_them():
    q, k, v = (mx.random.normal((rows, 64)) for rows in (64, 32, 32))
    loaded = {
        "blk.0.attn_q.weight": interleave_as_llama_cpp_does(q, 4),
        "blk.0.attn_k.weight": interleave_as_llama_cpp_does(k, 2),
        "blk.0.attn_v.weight": v,
    }

    tensors = read_tensors(loaded, heads=4, kv_heads=2)

    assert mx.array_equal(tensors["model.layers.0.self_attn.q_proj.weight"], q)
    assert mx.array_equal(tensors["model.layers.0.self_attn.k_proj.weight"], k)
    assert mx.array_equal(tensors["model.layers.0.self_attn.v_proj.weight"], v)


def test_packed_weights_become_float32_by_their_own_bits():
    weight = mx.random.uniform(-1, 1, (64, 64))
    four = dict(zip(("weight", "scales", "biases"), mx.quantize(weight, group_size=32, bits=4), strict=True))
    eight = dict(zip(("weight", "scales", "biases"), mx.quantize(weight, group_size=32, bits=8), strict=True))
    loaded = {f"blk.3.ffn_up.{part}": value.astype(mx.float16) if part != "weight" else value for part, value in four.items()}
    loaded |= {f"token_embd.{part}": value for part, value in eight.items()}

    tensors = read_tensors(loaded, heads=4, kv_heads=4)

    assert {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} == {
        "model.layers.3.mlp.up_proj.weight": ((64, 64), mx.float32),
        "model.embed_tokens.weight": ((64, 64), mx.float32),
    }
    assert mx.abs(tensors["model.layers.3.mlp.up_proj.weight"] - weight).max().item() < 0.2
    assert mx.abs(tensors["model.embed_tokens.weight"] - weight).max().item() < 0.02


def test_the_tokenizer_keeps_the_models_own_template_and_special_tokens(tmp_path):
    metadata = {
        "tokenizer.ggml.tokens": ["<|im_start|>", "<|im_end|>", "h", "i", "hi", "1", "2"],
        "tokenizer.ggml.token_type": mx.array([3, 3, 1, 1, 1, 1, 1]),
        "tokenizer.ggml.merges": ["h i"],
        "tokenizer.chat_template": "{{ messages[0].content }}",
        "tokenizer.ggml.bos_token_id": mx.array(0),
        "tokenizer.ggml.eos_token_id": mx.array(1),
        "tokenizer.ggml.padding_token_id": mx.array(1),
        "tokenizer.ggml.unknown_token_id": mx.array(0),
    }

    write_tokenizer(tmp_path, metadata, context_tokens=512)

    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.encode("<|im_start|>hi12<|im_end|>").ids == [0, 4, 5, 6, 1]
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert (config["chat_template"], config["eos_token"]) == ("{{ messages[0].content }}", "<|im_end|>")
