"""Tiny models with random weights, made in a moment: two families that differ in everything a split could get wrong."""

import json
from importlib import import_module

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model

from macfleet.lab.model_files import write_model

IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 32,
    "num_hidden_layers": 5,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": 97,
    "tie_word_embeddings": True,
    **IDS,
}
DEEPSEEK = {
    "model_type": "deepseek_v3",
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 16,
    "num_hidden_layers": 7,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "n_shared_experts": 1,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 2,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    **IDS,
}
PROMPT = [5, 17, 3, 88, 41, 9, 60, 12, 33, 7, 71]


def make_tiny(directory, config, *, seed=0):
    """A model directory with weights large enough that the tokens vary."""
    module = import_module(f"mlx_lm.models.{config['model_type']}")
    mx.random.seed(seed)
    model = module.Model(module.ModelArgs.from_dict(config))
    tensors = {name: mx.random.normal(value.shape) * 0.3 if value.ndim > 1 else value for name, value in tree_flatten(model.parameters())}
    directory.mkdir(parents=True, exist_ok=True)
    write_model(directory, config, tensors)
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def whole_model_tokens(directory, prompt, count, **options):
    """What mlx-lm itself generates, greedily, in one process."""
    model, _ = load_model(directory)
    return [token for token, _ in generate_step(mx.array(prompt), model, max_tokens=count, **options)]
