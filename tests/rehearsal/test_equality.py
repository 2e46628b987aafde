"""The promise of the pipeline: over 1, 2 and 3 stages the greedy text is that of mlx-lm in one process, for both lab models."""

from pathlib import Path

import pytest
from mlx_lm import load, stream_generate

from macfleet.lab.models import ensure
from tests.worker.gang import ProcessGang

pytestmark = pytest.mark.rehearsal

COUNT = 16
CUTS = {"smollm2-135m": ([0, 30], [0, 11, 30], [0, 7, 22, 30]), "deepseek-v3-tiny": ([0, 61], [0, 2, 61], [0, 20, 41, 61])}
QUESTION = [{"role": "user", "content": "Write one sentence about the sea."}]


@pytest.fixture(scope="module", params=CUTS)
def reference(request):
    """The model, its prompt, and what mlx-lm's own loop answers."""
    directory = ensure(request.param)
    model, tokenizer = load(str(directory))
    prompt = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True)
    tokens = [part.token for part in stream_generate(model, tokenizer, prompt, max_tokens=COUNT)]
    return request.param, directory, prompt, tokens, tuple(tokenizer.eos_token_ids)


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_greedy_tokens_equal_those_of_one_process(tmp_path, reference, stages):
    name, directory, prompt, expected, eos = reference

    with ProcessGang(tmp_path, directory, CUTS[name][stages - 1], extra={"prefill_chunk_tokens": 16}) as gang:
        gang.start().assemble()
        requests = [gang.submit(prompt, COUNT, eos=eos) for _ in range(2)]
        gang.wait(lambda: all(gang.answers[one].is_over for one in requests), "both answers")

    assert [gang.answers[one].tokens for one in requests] == [expected, expected]


def test_a_worker_holds_its_own_layers_and_not_the_model(tmp_path):
    directory = ensure("smollm2-135m")
    whole = (Path(directory) / "model.safetensors").stat().st_size

    with ProcessGang(tmp_path, directory, [0, 2, 28, 30]) as gang:
        gang.start().assemble()
        gang.wait(lambda: [beat.epoch for beat in gang.beats.values()] == [1, 1, 1], "a heartbeat of each, loaded")
        shares = [gang.hellos[rank].weight_bytes for rank in range(3)]
        held = [gang.beats[rank].rss_bytes for rank in range(3)]

    # The embedding stands at both ends, because this model's head is tied to it.
    embedding = 49152 * 576 * 4
    assert sum(shares) - embedding == pytest.approx(whole, rel=0.001)
    # The interpreter with mlx_lm is the same in all three; what differs is weights.
    assert held[1] - held[0] == pytest.approx(shares[1] - shares[0], rel=0.1)
