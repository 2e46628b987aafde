"""Workers over real links; the test plays the gateway over the real protocol."""

import json
import shutil
import signal

import pytest
from mlx_lm.models.cache import QuantizedKVCache

from macfleet.weights.manifest import Manifest, ManifestFile
from tests.worker.gang import Gang, ProcessGang
from tests.worker.tiny import DEEPSEEK, LLAMA, PROMPT, make_tiny, whole_model_tokens

CUTS = {"llama": ([0, 5], [0, 4, 5], [0, 1, 3, 5]), "deepseek_v3": ([0, 7], [0, 2, 7], [0, 1, 5, 7])}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    return {config["model_type"]: make_tiny(directory / config["model_type"], config) for config in (LLAMA, DEEPSEEK)}


@pytest.mark.parametrize(("family", "cuts"), [(family, cuts) for family, all_cuts in CUTS.items() for cuts in all_cuts], ids=str)
def test_greedy_tokens_over_stages_are_those_of_the_whole_model(tmp_path, models, family, cuts):
    expected = whole_model_tokens(models[family], PROMPT, 24)

    with Gang(tmp_path, models[family], cuts, extra={"prefill_chunk_tokens": 4}) as gang:
        gang.start().assemble()
        names = [gang.submit(PROMPT, 24) for _ in range(3)]
        gang.wait(lambda: all(gang.answers[name].is_over for name in names), "three answers at once")

    assert [gang.answers[name].tokens for name in names] == [expected] * 3
    assert [gang.answers[name].finished for name in names] == ["length"] * 3


def test_with_kv_caches_in_8_bits_the_tokens_are_those_of_the_whole_model_with_such_caches(tmp_path):
    model = make_tiny(tmp_path / "model", {**LLAMA, "hidden_size": 256})
    expected = whole_model_tokens(model, PROMPT, 24, prompt_cache=[QuantizedKVCache(64, 8) for _ in range(5)])

    with Gang(tmp_path, model, [0, 2, 5], extra={"kv": {"bits": 8, "group_size": 64}}) as gang:
        gang.start().assemble()
        names = [gang.submit(PROMPT, 24) for _ in range(3)]
        gang.wait(lambda: all(gang.answers[name].is_over for name in names), "three answers at once")

    assert [gang.answers[name].tokens for name in names] == [expected] * 3


def test_an_answer_ends_at_an_end_token_and_that_token_is_told(tmp_path, models):
    expected = whole_model_tokens(models["llama"], PROMPT, 12)

    with Gang(tmp_path, models["llama"], [0, 5]) as gang:
        gang.start().assemble()
        name = gang.submit(PROMPT, 12, eos=(expected[3],))
        gang.wait(lambda: gang.answers[name].is_over, "the end")

    first = expected.index(expected[3])
    assert gang.answers[name].tokens == expected[: first + 1]
    assert gang.answers[name].finished == "stop"


def test_a_seed_gives_the_same_tokens_whatever_else_runs(tmp_path, models):
    with Gang(tmp_path, models["llama"], [0, 2, 5]) as gang:
        gang.start().assemble()
        alone = gang.generate(PROMPT, 12, temperature=1.0, seed=7)
        names = [gang.submit(PROMPT, 12, temperature=1.0, seed=seed) for seed in (7, 8, 7)]
        gang.wait(lambda: all(gang.answers[name].is_over for name in names), "three answers at once")

    seven, eight, seven_again = (gang.answers[name].tokens for name in names)
    assert seven == seven_again == alone
    assert eight != seven


def test_logprobs_are_told_when_wanted(tmp_path, models):
    with Gang(tmp_path, models["llama"], [0, 2, 5]) as gang:
        gang.start().assemble()
        name = gang.submit(PROMPT, 2, logprobs=3)
        gang.wait(lambda: gang.answers[name].is_over, "the end")

    token = gang.answers[name].messages[0]
    assert token.top_logprobs[0] == (token.token, token.logprob)
    assert [value for _, value in token.top_logprobs] == sorted((value for _, value in token.top_logprobs), reverse=True)
    assert len(token.top_logprobs) == 3


def test_a_cancelled_request_makes_room_and_is_not_heard_of_again(tmp_path, models):
    expected = whole_model_tokens(models["llama"], PROMPT, 12)

    with Gang(tmp_path, models["llama"], [0, 2, 5], extra={"concurrency": 1}) as gang:
        gang.start().assemble()
        cancelled = gang.submit(PROMPT, 400)
        gang.wait(lambda: gang.answers[cancelled].tokens, "its first token")
        gang.cancel(cancelled)
        assert gang.generate(PROMPT, 12) == expected

    assert not gang.answers[cancelled].is_over


def test_a_new_epoch_drops_what_runs_and_answers_what_comes(tmp_path, models):
    expected = whole_model_tokens(models["llama"], PROMPT, 12)

    with Gang(tmp_path, models["llama"], [0, 2, 5]) as gang:
        gang.start().assemble()
        dropped = gang.submit(PROMPT, 400)
        gang.wait(lambda: gang.answers[dropped].tokens, "its first token")
        gang.reset()
        gang.assemble()
        assert gang.generate(PROMPT, 12) == expected

    assert not gang.answers[dropped].is_over


def test_workers_find_a_gateway_that_was_restarted_and_keep_their_weights(tmp_path, models):
    expected = whole_model_tokens(models["llama"], PROMPT, 12)

    with Gang(tmp_path, models["llama"], [0, 2, 5]) as gang:
        gang.start().assemble()
        lost = gang.submit(PROMPT, 400)
        gang.wait(lambda: gang.answers[lost].tokens, "its first token")
        gang.restart_gateway()
        gang.assemble()
        assert gang.generate(PROMPT, 12) == expected

    assert not gang.answers[lost].is_over


def test_hello_tells_the_hash_of_what_was_staged(tmp_path, models):
    sha256 = "5" * 64
    model = shutil.copytree(models["llama"], tmp_path / "llama")
    (model / "manifest.json").write_text(Manifest("llama", 0, 5, 5, (ManifestFile("stage-0-5.safetensors", 9, sha256),)).render())
    (model / "model.safetensors").rename(model / "stage-0-5.safetensors")

    with Gang(tmp_path, model, [0, 5]) as gang:
        gang.start().assemble()

    assert gang.hellos[0].weights_sha256 == sha256


@pytest.mark.rehearsal
def test_a_worker_that_was_frozen_says_hello_again(tmp_path, models):
    with ProcessGang(tmp_path, models["llama"], [0, 2, 5]) as gang:
        gang.start().assemble()
        gang.signal(1, signal.SIGSTOP)
        gang.hellos.clear()
        gang.wait(lambda: gang.broken, "rank 0's word that its link ended")

        gang.signal(1, signal.SIGCONT)

        gang.wait(lambda: 1 in gang.hellos, "its hello")


@pytest.mark.rehearsal
def test_a_killed_worker_comes_back_into_the_gang_while_the_survivor_keeps_its_weights(tmp_path, models):
    expected = whole_model_tokens(models["llama"], PROMPT, 12)

    with ProcessGang(tmp_path, models["llama"], [0, 2, 5]) as gang:
        gang.start().assemble()
        assert gang.generate(PROMPT, 12) == expected
        survivor = gang.hellos[0].pid

        gang.signal(1, signal.SIGKILL)
        gang.workers[1].wait()
        gang.hellos.pop(1)
        gang.wait(lambda: gang.broken, "the survivor's word that its link ended")
        gang.reset()
        gang.start(1).assemble()

        assert "the connection to the next rank" in gang.broken[0].error
        assert gang.hellos[0].pid == survivor
        assert gang.generate(PROMPT, 12) == expected


@pytest.mark.rehearsal
def test_sigterm_ends_a_worker_in_good_order(tmp_path, models):
    with ProcessGang(tmp_path, models["llama"], [0, 2, 5]) as gang:
        gang.start().assemble()
        beat = json.loads((tmp_path / "heartbeat-1.json").read_text())

        gang.signal(1)

        assert gang.workers[1].wait(timeout=20) == 0
        gang.wait(lambda: gang.left == [1], "the goodbye")
        assert beat["pid"] == gang.workers[1].pid
