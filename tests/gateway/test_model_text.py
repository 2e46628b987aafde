import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from macfleet.api.errors import ApiError
from macfleet.api.request import Endpoint, Request
from macfleet.core.errors import MacfleetError
from macfleet.gateway.model_text import load_model_text
from tests.gateway.tiny_model import make_tiny_model


def chat(text):
    return Request(Endpoint.CHAT, "tiny", messages=({"role": "user", "content": text},))


@pytest.fixture
def directory(tmp_path):
    return make_tiny_model(tmp_path / "tiny")


def test_a_prompt_is_the_templates_text_in_tokens(directory):
    text = load_model_text(directory)

    assert text.decode(text.prompt(chat("Hällo →"))) == "Hällo →"


def test_the_end_mark_is_not_shown(directory):
    text = load_model_text(directory)

    assert text.decode([*text.prompt(chat("Hello")), *text.eos]) == "Hello"


def test_the_gateway_goes_on_while_a_long_prompt_is_tokenized(directory):
    text, turns = load_model_text(directory), [time.monotonic()]

    async def count_turns():
        while True:
            await asyncio.sleep(0)
            turns.append(time.monotonic())

    async def tokenize():
        counting = asyncio.ensure_future(count_turns())
        tokens = await asyncio.to_thread(text.prompt, Request(Endpoint.COMPLETION, "tiny", prompt="Hällo → " * 40_000))
        counting.cancel()
        return tokens

    tokens = asyncio.run(tokenize())

    assert len(tokens) == len("Hällo → ".encode()) * 40_000
    longest = max(after - before for before, after in pairwise(turns))
    assert longest < 0.5 * (turns[-1] - turns[0]), "the event loop stood still while the tokenizer worked"


def test_several_threads_may_tokenize_at_once(directory):
    text = load_model_text(directory)
    words = [f"question {number} " * 50 for number in range(40)]

    with ThreadPoolExecutor(4) as threads:
        prompts = list(threads.map(lambda word: text.prompt(chat(word)), words))

    assert [text.decode(prompt) for prompt in prompts] == words


def test_a_model_without_a_template_is_asked_elsewhere(tmp_path):
    text = load_model_text(make_tiny_model(tmp_path / "tiny", template=None))

    with pytest.raises(ApiError, match="/v1/completions") as caught:
        text.prompt(chat("Hello"))
    assert (caught.value.status, caught.value.code) == (400, "no_chat_template")


@pytest.mark.parametrize(
    ("generation", "config", "eos"),
    [
        (None, {"eos_token_id": 256}, (256,)),
        ({"eos_token_id": [7, 9]}, {"eos_token_id": 5}, (7, 9, 256)),
        ({}, {"eos_token_id": [5]}, (5, 256)),
        ({}, {}, (256,)),
    ],
)
def test_an_answer_ends_where_mlx_lm_ends_it(directory, generation, config, eos):
    (directory / "config.json").write_text(json.dumps({"model_type": "llama"} | config))
    if generation is not None:
        (directory / "generation_config.json").write_text(json.dumps(generation))

    assert load_model_text(directory).eos == eos


def test_what_the_makers_of_the_model_recommend_is_the_default(directory):
    (directory / "generation_config.json").write_text(json.dumps({"temperature": 0.6, "top_k": 20, "do_sample": True, "min_p": None}))

    assert load_model_text(directory).sampling_defaults == {"temperature": 0.6, "top_p": 1.0, "top_k": 20, "min_p": 0.0}


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_a_directory_without_its_files_is_one_clear_error(directory, missing):
    (directory / missing).unlink()

    with pytest.raises(MacfleetError) as caught:
        load_model_text(directory)
    assert str(directory) in str(caught.value)
    assert caught.value.hint
