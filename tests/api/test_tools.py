import json

import pytest

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


def test_a_call_that_was_cut_is_not_made():
    """A lenient parser finds a call with half of its arguments in it."""
    lenient = CallReader(lambda text, tools: {"name": "delete", "arguments": {"all": True}}, (), "r1")
    stream = TextStream(lambda tokens: "".join(map(chr, tokens)), (), Sections(MARKS), lenient)

    pieces = [stream.push(ord(letter), None) for letter in "<call>delete all"] + [stream.push(ord(" "), "length")]

    assert [piece.calls for piece in pieces if piece.calls] == []
    assert "".join(piece.text for piece in pieces) == "delete all "
    assert pieces[-1].finish_reason == "length"


def test_who_wants_one_call_at_most_gets_the_first_and_the_answer_ends():
    reader = CallReader(lambda text, tools: json.loads(text), (), "r1", most=1)
    stream = TextStream(lambda tokens: "".join(map(chr, tokens)), (), Sections(MARKS), reader)

    pieces = [stream.push(ord(letter), None) for letter in '<call>[{"name": "f"}, {"name": "g"}]</call>']

    assert [call.name for piece in pieces for call in piece.calls] == ["f"]
    assert pieces[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ('{"name": "f", "arguments": {"a": "\\ud83d"}}', '{"a": "?"}'),
        ('{"name": "f", "arguments": {"a": "\\ud83d\\ude00"}}', '{"a": "😀"}'),
        ('{"name": "f", "arguments": {"a": NaN}}', None),
    ],
)
def test_arguments_are_text_and_json_whatever_the_model_writes(written, arguments):
    read = CallReader(lambda text, tools: json.loads(text), (), "r1").read(written)

    assert (read and read[0].arguments) == arguments
