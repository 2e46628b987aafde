"""The model families that may be split: each is here because a test shows its split equal to the whole.

The list is short and strict on purpose: of mlx-lm's families one (bailing_moe_linear) went wrong in a split without any error.
"""

from __future__ import annotations

from macfleet.core.errors import RequestError

PROVEN: tuple[str, ...] = (
    "cohere2",
    "deepseek_v2",
    "deepseek_v3",
    "gemma2",
    "gemma3_text",
    "gpt_oss",
    "llama",
    "ministral3",
    "mixtral",
    "phi3",
    "qwen2",
    "qwen3",
    "qwen3_moe",
)


def refuse_unproven(model_type: str) -> None:
    """Raises RequestError for a family that no test has shown to survive a split."""
    if model_type not in PROVEN:
        raise RequestError(
            f'models of the family "{model_type}" are not served: no test shows that their split equals the whole',
            hint=f"proven families: {', '.join(PROVEN)}",
        )
