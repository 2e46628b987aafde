"""Configs of full size: those that transformers has as its defaults, and some that it does not know.

Ring-mini's numbers are those of the config.json that inclusionAI ships; the others are transformers' own.
"""

import json

RING_MINI = {
    "model_type": "bailing_moe_linear",
    "architectures": ["BailingMoeLinearV2ForCausalLM"],
    "eos_token_id": 156892,
    "first_k_dense_replace": 1,
    "group_norm_size": 4,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "intermediate_size": 5120,
    "layer_group_size": 5,
    "max_position_embeddings": 131072,
    "moe_intermediate_size": 512,
    "moe_router_enable_expert_bias": True,
    "moe_shared_expert_intermediate_size": 512,
    "n_group": 8,
    "norm_topk_prob": True,
    "num_attention_heads": 16,
    "num_experts": 256,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 20,
    "num_key_value_heads": 4,
    "num_nextn_predict_layers": 0,
    "num_shared_experts": 1,
    "pad_token_id": 156892,
    "partial_rotary_factor": 0.5,
    "quantization": {"group_size": 64, "bits": 4, "mode": "affine"},
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "routed_scaling_factor": 2.5,
    "score_function": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 4,
    "use_bias": False,
    "use_qk_norm": True,
    "use_qkv_bias": False,
    "use_rmsnorm": True,
    "vocab_size": 157184,
}

# Families whose defaults in transformers are a config.json that mlx-lm reads; of the others the two name their keys differently.
AS_TRANSFORMERS_SHIPS = (
    "afmoe",
    "cohere",
    "cohere2",
    "deepseek_v3",
    "deepseek_v32",
    "ernie4_5",
    "ernie4_5_moe",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3_text",
    "glm",
    "glm4",
    "glm4_moe_lite",
    "gpt_oss",
    "granite",
    "granitemoe",
    "helium",
    "hunyuan_v1_dense",
    "internlm3",
    "jamba",
    "kimi_k25",
    "laguna",
    "llama",
    "llama4_text",
    "ministral3",
    "mistral3",
    "mistral4",
    "mixtral",
    "nanochat",
    "olmo2",
    "olmo3",
    "olmoe",
    "phi3",
    "phimoe",
    "qwen2",
    "qwen2_moe",
    "qwen2_vl",
    "qwen3",
    "qwen3_5",
    "qwen3_5_moe",
    "qwen3_next",
    "recurrent_gemma",
    "seed_oss",
    "smollm3",
    "stablelm",
    "starcoder2",
)


def full_config(family):
    """transformers' defaults of this family, with its `rope_parameters` where a config.json of the hub has them too."""
    from transformers import AutoConfig

    return _as_on_the_hub(json.loads(AutoConfig.for_model(family).to_json_string(use_diff=False)))


def _as_on_the_hub(config):
    rope = {key: value for key, value in (config.get("rope_parameters") or {}).items() if not isinstance(value, dict)}
    text = {"text_config": _as_on_the_hub(config["text_config"])} if isinstance(config.get("text_config"), dict) else {}
    return {"rope_theta": 10000.0, **rope, **config, **text}
