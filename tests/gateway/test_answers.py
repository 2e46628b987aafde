"""Questions answered over real sockets, by the official client where it matters what that client understands."""

import asyncio
import contextlib

import openai
import pytest

pytestmark = pytest.mark.anyio

QUESTION = [{"role": "user", "content": "Hällo → world"}]


async def test_a_chat_is_answered(gateway):
    async with gateway() as running, running.worker():
        await running.reach("ready")

        answer = await running.openai().chat.completions.create(model="tiny", messages=QUESTION)

    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "Hällo → world", "stop")
    prompt_tokens = len("Hällo → world".encode())
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (prompt_tokens, prompt_tokens + 1)
    assert answer.id.startswith("chatcmpl-")


async def test_a_stream_comes_in_whole_characters_and_says_how_it_ended(gateway):
    async with gateway(world=2) as running, running.worker(0), running.worker(1):
        await running.reach("ready")

        stream = await running.openai().chat.completions.create(
            model="tiny", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.content for chunk in chunks[1:-2]] == list("Hällo → world")
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 2 * len("Hällo → world".encode()) + 1


async def test_no_usage_comes_unasked(gateway):
    async with gateway() as running, running.worker():
        await running.reach("ready")

        stream = await running.openai().chat.completions.create(model="tiny", messages=QUESTION, stream=True)
        chunks = [chunk async for chunk in stream]

    assert all(chunk.choices for chunk in chunks)


async def test_a_completion_is_answered_from_text_or_tokens(gateway):
    async with gateway() as running, running.worker():
        await running.reach("ready")
        client = running.openai()

        from_text = await client.completions.create(model="tiny", prompt="Once", max_tokens=9)
        from_tokens = await client.completions.create(model="tiny", prompt=[0, 0, 0], max_tokens=2)  # token 0 is "!"

    assert (from_text.choices[0].text, from_text.choices[0].finish_reason) == ("Once", "stop")
    assert (from_tokens.choices[0].text, from_tokens.choices[0].finish_reason) == ("!!", "length")


async def test_an_answer_ends_at_max_tokens(gateway):
    async with gateway() as running, running.worker():
        await running.reach("ready")

        answer = await running.openai().chat.completions.create(model="tiny", messages=QUESTION, max_completion_tokens=1)

    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("H", "length")


async def test_a_stop_string_ends_the_answer_and_the_work(gateway):
    async with gateway() as running, running.worker() as worker:
        worker.step_s = 0.01
        await running.reach("ready")

        stream = await running.openai().chat.completions.create(model="tiny", messages=QUESTION, stop=" → wo", stream=True)
        chunks = [chunk.choices[0] async for chunk in stream]
        await cancelled(worker)

    assert "".join(choice.delta.content or "" for choice in chunks) == "Hällo"
    assert chunks[-1].finish_reason == "stop"


async def test_what_the_client_says_of_sampling_reaches_the_workers(gateway):
    async with gateway() as running, running.worker() as worker:
        await running.reach("ready")

        await running.openai().chat.completions.create(
            model="tiny",
            messages=QUESTION,
            temperature=0,
            top_p=0.5,
            seed=-1,
            frequency_penalty=0.5,
            logit_bias={"7": -3},
            extra_body={"top_k": 5, "min_p": 0.1},
        )

    sampling = worker.submits[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0, 0.5, 5, 0.1)
    assert (sampling.seed, sampling.frequency_penalty, sampling.logit_bias) == (2**64 - 1, 0.5, {7: -3.0})


async def test_who_says_nothing_of_sampling_gets_the_likeliest_words(gateway):
    async with gateway() as running, running.worker() as worker:
        await running.reach("ready")

        await running.openai().chat.completions.create(model="tiny", messages=QUESTION)

    assert worker.submits[0].sampling.temperature == 0


async def test_logprobs_come_with_the_tokens_of_the_text(gateway):
    async with gateway() as running, running.worker():
        await running.reach("ready")
        client = running.openai()

        chat = await client.chat.completions.create(model="tiny", messages=QUESTION, logprobs=True, top_logprobs=1)
        stream = await client.chat.completions.create(model="tiny", messages=QUESTION, logprobs=True, stop="world", stream=True)
        pieces = [chunk.choices[0] async for chunk in stream]
        completion = await client.completions.create(model="tiny", prompt="Once", max_tokens=9, logprobs=1)

    tokens = chat.choices[0].logprobs.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == "Hällo → world"
    assert [token.logprob for token in tokens[:3]] == [0, -1, -2]
    assert tokens[1].top_logprobs[0].token == "\ufffd"
    streamed = [token for piece in pieces if piece.logprobs for token in piece.logprobs.content]
    assert b"".join(bytes(token.bytes) for token in streamed).decode() == "Hällo → "
    assert completion.choices[0].logprobs.tokens == ["O", "n", "c", "e"]
    assert completion.choices[0].logprobs.text_offset == [0, 1, 2, 3]


async def test_several_answers_grow_side_by_side_each_with_a_seed_of_its_own(gateway):
    async with gateway(concurrency=3) as running, running.worker() as worker:
        await running.reach("ready")
        client = running.openai()

        whole = await client.chat.completions.create(model="tiny", messages=QUESTION, n=3, seed=7)
        stream = await client.chat.completions.create(
            model="tiny", messages=QUESTION, n=2, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    length = len("Hällo → world".encode())
    assert [choice.message.content for choice in whole.choices] == ["Hällo → world"] * 3
    assert [submit.sampling.seed for submit in worker.submits[:3]] == [7, 8, 9]
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (length, 3 * (length + 1))
    texts = {0: "", 1: ""}
    for chunk in chunks[:-1]:
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == {0: "Hällo → world", 1: "Hällo → world"}
    assert chunks[-1].usage.completion_tokens == 2 * (length + 1)


async def test_several_answers_get_all_their_places_or_none(gateway):
    async with gateway(concurrency=2, queue_limit=1) as running, running.worker(held=True) as worker:
        await running.reach("ready")
        client = running.openai()
        first = asyncio.ensure_future(client.chat.completions.create(model="tiny", messages=QUESTION))
        await submitted(worker, 1)

        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="tiny", messages=QUESTION, n=3)
        second = asyncio.ensure_future(client.chat.completions.create(model="tiny", messages=QUESTION, n=2))
        await submitted(worker, 2)
        worker.go.set()

        assert len((await second).choices) == 2
        assert (await first).choices
    assert worker.cancelled == set(), "no place was given and taken away again"


async def test_more_answers_than_ever_fit_are_not_told_to_come_back(gateway):
    async with gateway(concurrency=2, queue_limit=1) as running, running.worker():
        await running.reach("ready")

        with pytest.raises(openai.BadRequestError, match="at most 3") as caught:
            await running.openai().chat.completions.create(model="tiny", messages=QUESTION, n=4)

    assert caught.value.param == "n"


async def test_more_than_the_context_is_never_asked_of_the_workers(gateway):
    async with gateway(context_tokens=20) as running, running.worker() as worker:
        await running.reach("ready")

        await running.openai().completions.create(model="tiny", prompt="a" * 18, max_tokens=1000)

    assert worker.submits[0].max_tokens == 2


async def test_many_streams_at_once_do_not_mix(gateway):
    async with gateway(concurrency=4, queue_limit=20) as running, running.worker() as worker:
        worker.step_s = 0.001
        await running.reach("ready")
        client = running.openai()
        texts = [f"question {number} " * 3 for number in range(12)]

        answers = await asyncio.gather(*(client.completions.create(model="tiny", prompt=text, max_tokens=99) for text in texts))

    assert [answer.choices[0].text for answer in answers] == texts


async def test_clients_that_come_and_go_leave_nothing_behind(gateway):
    async with gateway(concurrency=4, queue_limit=60) as running, running.worker() as worker:
        worker.step_s = 0.002
        await running.reach("ready")
        client = running.openai()

        async def ask(number):
            text = f"question {number} " * 5
            asking = client.completions.create(model="tiny", prompt=text, max_tokens=150, stream=number % 2 == 0)
            if number % 3 == 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asking, 0.01 * (number % 7))
                return True
            answer = await asking
            return text == ("".join([chunk.choices[0].text async for chunk in answer]) if number % 2 == 0 else answer.choices[0].text)

        was_right = await asyncio.gather(*(ask(number) for number in range(48)))
        async with asyncio.timeout(20):
            while (health := await running.health())["running"] + health["waiting"]:
                await asyncio.sleep(0.01)

    assert all(was_right)


async def test_the_log_has_counts_and_times_but_no_text(gateway, caplog):
    caplog.set_level("INFO")
    async with gateway() as running, running.worker():
        await running.reach("ready")

        await running.openai().chat.completions.create(model="tiny", messages=[{"role": "user", "content": "my secret"}])
        with pytest.raises(openai.BadRequestError):
            await running.openai().chat.completions.create(model="tiny", messages=[{"role": "my secret", "content": ""}])

    ended = next(record for record in caplog.records if record.message == "request ended")
    assert (ended.outcome, ended.prompt_tokens, ended.tokens) == ("stop", 9, 10)
    assert "secret" not in str([vars(record) for record in caplog.records if record.name.startswith("macfleet")])
    assert "open sesame" not in caplog.text


async def test_the_models_are_listed(gateway):
    async with gateway() as running:
        client = running.openai()

        models = [model async for model in client.models.list()]

        assert [model.id for model in models] == ["tiny"]
        assert (await client.models.retrieve("tiny")).id == "tiny"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("huge")


async def test_a_client_that_hangs_up_frees_its_place(gateway):
    async with gateway(concurrency=1) as running, running.worker() as worker:
        worker.step_s = 0.01
        await running.reach("ready")
        client = running.openai()

        stream = await client.chat.completions.create(model="tiny", messages=QUESTION, stream=True)
        await anext(aiter(stream))
        await stream.close()
        await cancelled(worker)

        worker.step_s = 0
        answer = await client.chat.completions.create(model="tiny", messages=QUESTION)
    assert answer.choices[0].message.content == "Hällo → world"


async def test_a_client_that_hangs_up_before_the_first_token_frees_its_place(gateway):
    async with gateway(concurrency=1) as running, running.worker(held=True) as worker:
        await running.reach("ready")
        asking = asyncio.ensure_future(running.openai().chat.completions.create(model="tiny", messages=QUESTION))
        await submitted(worker, 1)

        asking.cancel()

        await cancelled(worker)
    assert worker.cancelled == {worker.submits[0].request}


async def submitted(worker, count):
    async with asyncio.timeout(20):
        while len(worker.submits) < count:
            await asyncio.sleep(0.01)


async def cancelled(worker):
    async with asyncio.timeout(20):
        while not worker.cancelled:
            await asyncio.sleep(0.01)
