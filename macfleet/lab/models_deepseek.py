"""A small deepseek_v3 with random weights: the architecture of DeepSeek-V3 and its kin, for the paths that a llama does not take.

MLA with its compressed cache, routed and shared experts, dense first layers, an untied head, and 61 layers like the real one:
a prime, so that no gang divides it evenly (mlx-lm before 0.32 lost layers there).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from macfleet.core.errors import ServiceFailed

SEED = 61
CONFIG: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "vocab_size": 49152,
    "hidden_size": 64,
    "intermediate_size": 128,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 61,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "n_shared_experts": 1,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "routed_scaling_factor": 2.5,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "kv_lora_rank": 32,
    "q_lora_rank": 48,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "torch_dtype": "float32",
}


def make_deepseek_tiny(directory: Path, tokenizer_from: Path | None = None, say: Callable[[str], None] = lambda text: None) -> None:
    """Fill `directory`; the same seed gives the same bytes."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.models.deepseek_v3 import Model, ModelArgs

    from macfleet.lab.model_files import write_model

    if tokenizer_from is None:
        raise ServiceFailed("deepseek-v3-tiny borrows a tokenizer, and none was given")
    say("drawing random weights")
    mx.random.seed(SEED)
    model = Model(ModelArgs.from_dict(CONFIG))
    # The gate's own initial value is zero, which sends every token to the same experts.
    tensors = {
        name: mx.random.normal(value.shape) * 0.02 if name.endswith("gate.weight") else value
        for name, value in tree_flatten(model.parameters())
    }
    write_model(directory, CONFIG, tensors)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer_from / name, directory / name)
