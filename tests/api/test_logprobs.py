from macfleet.api.logprobs import Logprobs
from macfleet.api.request import Endpoint
from macfleet.api.text import Scored

BYTES = {1: b"Hi", 2: "\u00e4".encode(), 3: b"\xe2", 4: b"!"}
SCORED = (Scored(1, -0.5, ((1, -0.5), (4, -2.0))), Scored(3, float("-inf")))


def test_a_chat_gets_each_token_with_its_bytes_and_what_was_likely_instead():
    rendered = Logprobs(Endpoint.CHAT, BYTES.__getitem__).render(SCORED)

    hi = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}
    assert rendered["content"][0] == hi | {"top_logprobs": [hi, {"token": "!", "logprob": -2.0, "bytes": [33]}]}


def test_half_a_character_shows_as_such_and_keeps_its_bytes():
    half = Logprobs(Endpoint.CHAT, BYTES.__getitem__).render(SCORED)["content"][1]

    assert half == {"token": "\ufffd", "logprob": -9999.0, "bytes": [0xE2], "top_logprobs": []}


def test_a_completion_gets_columns_whose_offsets_go_on_from_piece_to_piece():
    logprobs = Logprobs(Endpoint.COMPLETION, BYTES.__getitem__)

    first, second = logprobs.render(SCORED[:1]), logprobs.render((Scored(2, -1.0),))

    assert first == {"tokens": ["Hi"], "token_logprobs": [-0.5], "top_logprobs": [{"Hi": -0.5, "!": -2.0}], "text_offset": [0]}
    assert (second["tokens"], second["text_offset"]) == (["\u00e4"], [2])
