"""The model families that may be split over Macs: each is here because a test shows its split equal to the whole.

The list is strict on purpose: of mlx-lm's families one (bailing_moe_linear) gave wrong text in a split without any error.
"""

from __future__ import annotations

from macfleet.core.errors import RequestError

# tests/worker/test_families.py splits each of them, unevenly, and compares tokens and log probabilities.
PROVEN: tuple[str, ...] = (
    "Klear",
    "afmoe",
    "bailing_moe",
    "cohere",
    "cohere2",
    "deepseek",
    "deepseek_v2",
    "deepseek_v3",
    "deepseek_v32",
    "dots1",
    "ernie4_5",
    "ernie4_5_moe",
    "exaone",
    "exaone_moe",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3_text",
    "glm",
    "glm4",
    "glm4_moe",
    "glm4_moe_lite",
    "glm_moe_dsa",
    "gpt_oss",
    "granite",
    "granitemoe",
    "granitemoehybrid",
    "helium",
    "hunyuan_v1_dense",
    "internlm2",
    "internlm3",
    "jamba",
    "kimi_k25",
    "kimi_linear",
    "kimi_vl",
    "laguna",
    "lfm2",
    "lfm2_moe",
    "llama",
    "llama4",
    "llama4_text",
    "longcat_flash",
    "mamba2",
    "mimo",
    "mimo_v2_flash",
    "minicpm",
    "minicpm3",
    "minimax",
    "ministral3",
    "mistral3",
    "mistral4",
    "mixtral",
    "nanbeige",
    "nanochat",
    "nemotron",
    "olmo2",
    "olmo3",
    "olmoe",
    "phi3",
    "phimoe",
    "pixtral",
    "qwen",
    "qwen2",
    "qwen2_moe",
    "qwen2_vl",
    "qwen3",
    "qwen3_5",
    "qwen3_5_moe",
    "qwen3_moe",
    "qwen3_next",
    "qwen3_vl",
    "qwen3_vl_moe",
    "recurrent_gemma",
    "seed_oss",
    "smollm3",
    "solar_open",
    "stablelm",
    "starcoder2",
    "step3p5",
    "telechat3",
    "youtu_llm",
)
# Of these, those whose rows in a batch get other answers than alone (mlx-lm 0.32.2): gemma2 lays the mask of the padding over the
# wrong axis of its grouped attention; recurrent_gemma reads the zeros that a batch has for an empty state as if tokens had come
# before, which a prompt of one token shows. Their requests are decoded one by one, in several lanes.
UNBATCHED: tuple[str, ...] = ("gemma2", "recurrent_gemma")
# Of the proven ones, those whose KV cache mlx-lm cannot keep in fewer bits (0.32.2): attention on a latent or with sinks takes no
# quantised keys, lists of caches and states are not quantised at all.
WIDE_KV: tuple[str, ...] = (
    "deepseek_v3",
    "deepseek_v32",
    "gemma2",
    "glm4_moe_lite",
    "glm_moe_dsa",
    "gpt_oss",
    "kimi_k25",
    "kimi_linear",
    "kimi_vl",
    "longcat_flash",
    "mamba2",
    "mistral4",
    "recurrent_gemma",
    "stablelm",
)
# What mlx-lm itself runs as another family; a test compares this with its table.
ALIASES: dict[str, str] = {
    "iquestcoder": "llama",
    "joyai_llm_flash": "deepseek_v3",
    "kimi_k2": "deepseek_v3",
    "minimax_m2": "minimax",
    "mistral": "llama",
    "xverse": "llama",
}


def is_proven(model_type: str) -> bool:
    """Whether a test shows that models of this family (`model_type` of config.json) survive a split."""
    return ALIASES.get(model_type, model_type) in PROVEN


def can_quantize_kv(model_type: str) -> bool:
    """Whether mlx-lm can keep the KV cache of this family in fewer bits; of one that is not proven, its proof tells."""
    return ALIASES.get(model_type, model_type) not in WIDE_KV


def refuse_unproven(model_type: str) -> None:
    """Raises RequestError for a family that no test has shown to survive a split."""
    if is_proven(model_type):
        return
    raise RequestError(
        f'models of the family "{model_type}" are not served: no test shows that their split equals the whole',
        truths=(f"proven families: {', '.join(sorted((*PROVEN, *ALIASES)))}",),
        hint="`macfleet deploy --unproven` tries it first with a small random model of its config, and goes on if that is proved",
    )
