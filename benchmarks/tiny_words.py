"""A small llama with random weights whose every token is a word of its own, so that an answer's text tells its tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

from macfleet.worker.mlx.tiny import make_tiny

_MARKS = ("<unknown>", "<begin>", "<end>", "<user>", "<assistant>")
_END = 2
# No word begins another one: the first word that differs is the first token that differs.
WORDS = tuple(f"w{number:03d}" for number in range(len(_MARKS), 512))
_TEMPLATE = "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }} {% endfor %}<assistant>"
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 6,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
_VOCABULARY = {"vocab_size": len(_MARKS) + len(WORDS), "bos_token_id": 1, "eos_token_id": _END, "pad_token_id": _END}


def make_tiny_words(directory: Path, config: Mapping[str, Any] = CONFIG, *, seed: int = 4) -> Path:
    """`directory`, holding weights, config, tokenizer and a chat template. Of another family's `config` the vocabulary is replaced."""
    make_tiny(directory, {**config, **_VOCABULARY}, seed=seed)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate((*_MARKS, *WORDS))}, unk_token=_MARKS[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([_MARKS[_END]])
    tokenizer.save(str(directory / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": _MARKS[_END], "chat_template": _TEMPLATE}
    (directory / "tokenizer_config.json").write_text(json.dumps(about))
    return directory
