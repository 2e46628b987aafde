import json

from macfleet.api import errors
from macfleet.api.render import Answer, Choice, Usage, answer_id, event, joined, model_list
from macfleet.api.request import Endpoint

CHAT = Answer(Endpoint.CHAT, "chatcmpl-1", "m", 1_790_000_000)
COMPLETION = Answer(Endpoint.COMPLETION, "cmpl-1", "m", 1_790_000_000)


def test_a_whole_chat():
    assert CHAT.whole([Choice(0, "Hello", "stop")], Usage(3, 2)) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def test_a_whole_completion():
    body = COMPLETION.whole([Choice(0, "Hello", "length")], Usage(3, 2))

    assert body["object"] == "text_completion"
    assert body["choices"] == [{"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "length"}]


def test_a_streamed_chat_says_first_who_speaks():
    (opening,) = CHAT.opening()

    assert opening["object"] == "chat.completion.chunk"
    assert opening["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert COMPLETION.opening() == ()


def test_the_last_chunk_has_the_reason_and_may_have_no_text():
    assert CHAT.chunk(Choice(0, "", "stop"))["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    assert COMPLETION.chunk(Choice(0, "a"))["choices"] == [{"index": 0, "text": "a", "logprobs": None, "finish_reason": None}]


def test_every_answer_of_several_has_its_place():
    body = CHAT.whole([Choice(0, "a", "stop"), Choice(1, "b", "length")], Usage(3, 2))

    assert [(choice["index"], choice["message"]["content"], choice["finish_reason"]) for choice in body["choices"]] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]
    assert [chunk["choices"][0]["index"] for chunk in CHAT.opening(2)] == [0, 1]


def test_pieces_join_with_their_logprobs():
    pieces = [
        Choice(1, "a", None, {"content": [1, 2], "refusal": None}),
        Choice(1, ""),
        Choice(1, "b", "stop", {"content": [3], "refusal": None}),
    ]

    assert joined(pieces) == Choice(1, "ab", "stop", {"content": [1, 2, 3], "refusal": None})


def test_the_usage_comes_in_a_chunk_without_a_choice():
    chunk = CHAT.usage_chunk(Usage(3, 2))

    assert (chunk["choices"], chunk["usage"]["total_tokens"]) == ([], 5)


def test_an_event_is_one_line_whatever_the_text():
    text = "a\n\ndata: b\u2028c\x85→"

    line = event({"text": text}).decode()

    assert line.splitlines() == [line.removesuffix("\n\n"), ""]
    assert json.loads(line.removeprefix("data: ")) == {"text": text}


def test_ids_begin_as_openais():
    assert answer_id(Endpoint.CHAT, "7") == "chatcmpl-7"
    assert answer_id(Endpoint.COMPLETION, "7") == "cmpl-7"


def test_the_model_list_tells_the_context():
    assert model_list("m", 1, 2048)["data"][0] | {"created": 0} == {
        "id": "m",
        "object": "model",
        "created": 0,
        "owned_by": "macfleet",
        "max_model_len": 2048,
    }


def test_an_error_has_openais_shape():
    error = errors.queue_full(waiting=3, retry_after_s=7)

    assert error.status == 429
    assert error.headers() == {"retry-after": "7"}
    assert error.body()["error"] | {"message": ""} == {"message": "", "type": "rate_limit_error", "param": None, "code": "queue_full"}
    assert errors.wrong_key(was_given=False).headers() == {"www-authenticate": "Bearer"}
