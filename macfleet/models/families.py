"""The model families that may be split over Macs: each is here because a test shows its split equal to the whole.

The list is strict on purpose: of mlx-lm's families one (bailing_moe_linear) gave wrong text in a split without any error.
"""

from __future__ import annotations

from macfleet.core.errors import RequestError

# tests/worker/test_families.py splits each of them, unevenly, and compares tokens and log probabilities.
PROVEN: tuple[str, ...] = (
    "cohere2",
    "deepseek_v2",
    "deepseek_v3",
    "deepseek_v32",
    "ernie4_5_moe",
    "gemma2",
    "gemma3_text",
    "glm4",
    "glm4_moe",
    "glm4_moe_lite",
    "glm_moe_dsa",
    "gpt_oss",
    "granite",
    "kimi_k25",
    "llama",
    "llama4",
    "minimax",
    "ministral3",
    "mixtral",
    "olmo3",
    "phi3",
    "qwen2",
    "qwen3",
    "qwen3_5",
    "qwen3_5_moe",
    "qwen3_moe",
    "qwen3_next",
    "seed_oss",
    "smollm3",
)
# Of these, those whose rows in a batch get other answers than alone: mlx-lm's gemma2 lays the mask of the padding over the wrong
# axis of its grouped attention (0.32.2). Their requests are decoded one by one, in several lanes.
UNBATCHED: tuple[str, ...] = ("gemma2",)
# What mlx-lm itself runs as another family; a test compares this with its table.
ALIASES: dict[str, str] = {
    "iquestcoder": "llama",
    "joyai_llm_flash": "deepseek_v3",
    "kimi_k2": "deepseek_v3",
    "minimax_m2": "minimax",
    "mistral": "llama",
    "xverse": "llama",
}


def refuse_unproven(model_type: str) -> None:
    """Raises RequestError for a family (`model_type` of its config.json) that no test has shown to survive a split."""
    if ALIASES.get(model_type, model_type) in PROVEN:
        return
    raise RequestError(
        f'models of the family "{model_type}" are not served: no test shows that their split equals the whole',
        hint=f"proven families: {', '.join(sorted((*PROVEN, *ALIASES)))}",
    )
