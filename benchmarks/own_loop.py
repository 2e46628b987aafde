"""Tokens per second of mlx-lm's own generate loop, one stream, after its first token: `own_loop.py MODEL_DIR TOKENS`."""

from __future__ import annotations

import sys
import time

import mlx.core as mx
from mlx_lm import load
from mlx_lm.generate import generate_step

PROMPT = "Write a long story about the sea."


def main(model_dir: str, tokens: int) -> float:
    if not mx.metal.is_available():
        mx.set_default_device(mx.cpu)
    model, tokenizer = load(model_dir)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": PROMPT}], add_generation_prompt=True)
    arrivals = [time.monotonic() for _ in generate_step(mx.array(prompt), model, max_tokens=tokens)]
    return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2])))
