"""A model directory with everything but weights, made in place: a byte-level tokenizer, a chat template, an end mark."""

import json

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

END = "<|end|>"
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "{{ message['content'] }}{% endfor %}"
)


def make_tiny_model(directory, template=TEMPLATE, marks=()):
    """Every byte is a token (0 to 255), 256 is the end mark; a chat is its contents, one after the other. `marks`: further tokens."""
    directory.mkdir()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)} | {END: 256}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    tokenizer.add_tokens(list(marks))
    tokenizer.save(str(directory / "tokenizer.json"))
    described = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END} | ({"chat_template": template} if template else {})
    (directory / "tokenizer_config.json").write_text(json.dumps(described))
    (directory / "config.json").write_text(json.dumps({"model_type": "llama", "eos_token_id": 256}))
    return directory
