import json

from macfleet.api.sections import Marks, Sections
from macfleet.api.text import TextStream
from macfleet.api.tools import CallReader

MARKS = Marks(
    {"normal": [("<call>", "tool"), ("<think>", "reasoning")], "tool": [("</call>", "normal")], "reasoning": [("</think>", "normal")]}
)


def pieces_of(text, finished="stop"):
    """Letter by letter, as a model with one token per letter would write it."""
    stream = TextStream(
        lambda tokens: "".join(map(chr, tokens)), (), Sections(MARKS), CallReader(lambda text, tools: json.loads(text), (), "r1")
    )
    pieces = [stream.push(ord(letter), None) for letter in text[:-1]] + [stream.push(ord(text[-1]), None)]
    return [*pieces, stream.push(0, finished)]


def test_a_call_comes_whole_and_says_why_the_answer_ended():
    pieces = pieces_of('Well. <call>{"name": "f", "arguments": {"a": 1}}</call>')

    (call,) = [call for piece in pieces for call in piece.calls]
    assert (call.id, call.name, json.loads(call.arguments)) == ("call_r1_1", "f", {"a": 1})
    assert "".join(piece.text for piece in pieces) == "Well. "
    assert pieces[-1].finish_reason == "tool_calls"


def test_several_calls_have_ids_of_their_own():
    pieces = pieces_of('<call>{"name": "f"}</call><call>{"name": "g"}</call>')

    assert [(call.id, call.name, call.arguments) for piece in pieces for call in piece.calls] == [
        ("call_r1_1", "f", "{}"),
        ("call_r1_2", "g", "{}"),
    ]


def test_a_call_without_its_end_mark_still_counts():
    assert [call.name for piece in pieces_of('<call>{"name": "f"}') for call in piece.calls] == ["f"]


def test_what_cannot_be_read_as_a_call_is_not_lost():
    pieces = pieces_of("<call>{not json</call> bye")

    assert "".join(piece.text for piece in pieces) == "{not json bye"
    assert pieces[-1].finish_reason == "stop"


def test_reasoning_is_kept_apart_from_the_answer():
    pieces = pieces_of("<think>hm</think>Yes")

    assert ("".join(piece.reasoning for piece in pieces), "".join(piece.text for piece in pieces)) == ("hm", "Yes")
