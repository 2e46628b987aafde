import json

import pytest

from macfleet.engines.protocol import (
    Assemble,
    Hello,
    ProtocolError,
    Sampling,
    Submit,
    Token,
    decode_from_gateway,
    decode_from_worker,
    encode,
)

HELLO = Hello(
    rank=1,
    mac="studio-2",
    pid=42,
    version="0.1.0",
    kind="tcp",
    data_endpoint="tcp://10.0.0.2:5000",
    data_public_key="k" * 40,
    first_layer=10,
    last_layer=20,
    phase_s={"load": 1.5},
)
SUBMIT = Submit(request="r1", epoch=3, prompt=(1, 2, 3), max_tokens=8, eos=(2,), sampling=Sampling(temperature=0.7, logit_bias={5: -1.0}))


@pytest.mark.parametrize("message", [HELLO, Token(request="r1", epoch=3, index=0, token=7, logprob=-0.5, top_logprobs=((7, -0.5),))])
def test_what_a_worker_says_arrives_as_it_was_said(message):
    assert decode_from_worker(encode(message)) == message


@pytest.mark.parametrize("message", [SUBMIT, Assemble(epoch=1)])
def test_what_the_gateway_says_arrives_as_it_was_said(message):
    assert decode_from_gateway(encode(message)) == message


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"max_tokens": -1}, "submit/max_tokens"),
        ({"prompt": []}, "submit/prompt"),
        ({"prompt": [1, -2]}, "submit/prompt/1"),
        ({"sampling": {"top_p": 0}}, "submit/sampling/top_p"),
        ({"max_tokens": "8"}, "submit/max_tokens"),
        ({"surprise": 1}, "submit/surprise"),
        ({"type": "hello"}, ""),
    ],
)
def test_a_message_out_of_range_or_with_unknown_keys_is_refused_and_named(change, place):
    data = {**json.loads(encode(SUBMIT)), **change}

    with pytest.raises(ProtocolError, match=f": {place}"):
        decode_from_gateway(json.dumps(data).encode())


def test_bytes_that_are_not_json_are_refused():
    with pytest.raises(ProtocolError, match="the gateway sent something that is not of this protocol"):
        decode_from_gateway(b"\x80hello")
