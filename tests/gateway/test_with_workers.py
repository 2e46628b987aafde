"""The gateway and the real workers together: what a client reads is what mlx-lm writes in one process."""

import json

import pytest

from tests.gateway.tiny_model import make_tiny_model
from tests.worker.gang import ThreadedWorker
from tests.worker.tiny import LLAMA, make_tiny, whole_model_tokens

pytestmark = pytest.mark.anyio

PROMPT = [72, 101, 108, 108, 111, 44, 32, 119]
CUTS = [(0, 4), (4, 8), (8, 12)]


@pytest.fixture(scope="module")
def llama_dir(tmp_path_factory):
    """Random weights for the tokenizer of bytes, so that the answer is full of broken characters."""
    directory = make_tiny_model(tmp_path_factory.mktemp("models") / "llama")
    config = LLAMA | {"vocab_size": 257, "eos_token_id": 256, "num_hidden_layers": CUTS[-1][1]}
    return make_tiny(directory, config)


def start_worker(running, rank, model_dir, directory):
    public, secret = running.worker_keys[rank]
    first_layer, last_layer = CUTS[rank]
    config = {
        "service": "chat",
        "mac": f"studio-{rank + 1}",
        "rank": rank,
        "world": running.config.world,
        "model_dir": str(model_dir),
        "first_layer": first_layer,
        "last_layer": last_layer,
        "control": running.control,
        "public_key": public,
        "secret_key": secret,
        "gateway_public_key": running.config.public_key,
        "context_tokens": running.config.context_tokens,
        "heartbeat_file": str(directory / f"heartbeat-{rank}.json"),
    }
    file = directory / f"worker-{rank}.json"
    file.write_text(json.dumps(config))
    return ThreadedWorker(file)


async def test_three_stages_answer_what_the_whole_model_writes(gateway, llama_dir, tmp_path):
    expected = whole_model_tokens(llama_dir, PROMPT, 60)
    async with gateway(world=3, model_dir=llama_dir) as running:
        workers = [start_worker(running, rank, llama_dir, tmp_path) for rank in range(3)]
        try:
            await running.reach("ready")
            client = running.openai()

            whole = await client.completions.create(model="tiny", prompt=PROMPT, max_tokens=60, temperature=0)
            stream = await client.completions.create(model="tiny", prompt=PROMPT, max_tokens=60, temperature=0, stream=True)
            pieces = [chunk.choices[0].text async for chunk in stream]
        finally:
            for worker in workers:
                worker.end()

    assert 256 not in expected, "a random model that ends at once proves nothing"
    assert whole.usage.completion_tokens == 60
    assert whole.choices[0].text == "".join(pieces) == bytes_of(llama_dir, expected)


async def test_a_worker_that_ends_and_comes_back_is_answered_from_again(gateway, llama_dir, tmp_path):
    async with gateway(world=3, model_dir=llama_dir) as running:
        workers = [start_worker(running, rank, llama_dir, tmp_path) for rank in range(3)]
        try:
            before = await running.reach("ready")
            first = await answer(running)

            workers[1].end()
            await running.reach("waiting")
            workers[1] = start_worker(running, 1, llama_dir, tmp_path)
            after = await running.reach("ready")

            assert await answer(running) == first
        finally:
            for worker in workers:
                worker.end()
    assert after["epoch"] > before["epoch"]


async def answer(running):
    return (await running.openai().completions.create(model="tiny", prompt=PROMPT, max_tokens=20, temperature=0)).choices[0].text


def bytes_of(model_dir, tokens):
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model_dir / "tokenizer.json")).decode(tokens)
