from hypothesis import given
from hypothesis import strategies as st

from macfleet.api.detokenize import Detokenizer
from macfleet.api.text import Piece, TextStream


def decode(tokens):
    """Every byte is a token, as in the byte fallback of real tokenizers."""
    return bytes(tokens).decode("utf-8", errors="replace")


def pieces_of(data):
    detokenizer = Detokenizer(decode)
    return [detokenizer.push(byte) for byte in data] + [detokenizer.flush()]


def test_a_character_of_several_tokens_is_shown_whole():
    assert pieces_of("a→b".encode()) == ["a", "", "", "→", "b", ""]


def test_a_broken_character_at_the_end_is_not_swallowed():
    assert pieces_of(b"a" + "→".encode()[:2]) == ["a", "", "", "\ufffd"]


def test_bytes_that_never_make_a_character_do_not_hold_the_text_back_for_ever():
    pieces = pieces_of(b"\xff" * 20)

    assert any(pieces[:10])
    assert "".join(pieces) == decode(b"\xff" * 20)


@given(st.text(max_size=40))
def test_the_pieces_are_the_text(text):
    pieces = pieces_of(text.encode())

    assert "".join(pieces) == text


def test_a_space_that_decode_drops_at_the_beginning_is_kept_in_the_middle():
    words = ["▁Hello", "▁wide", "▁world"]
    detokenizer = Detokenizer(lambda tokens: "".join(words[token] for token in tokens).replace("▁", " ").removeprefix(" "))

    assert [detokenizer.push(token) for token in (0, 1, 2)] == ["Hello", " wide", " world"]


def test_a_space_behind_a_sign_without_text_is_kept():
    words = ["▁Hello", "", "▁world"]
    detokenizer = Detokenizer(lambda tokens: "".join(words[token] for token in tokens).replace("▁", " ").removeprefix(" "))

    assert [detokenizer.push(token) for token in (0, 1, 2, 1, 1, 2)] == ["Hello", "", " world", "", "", " world"]


def test_the_end_mark_is_not_text():
    stream = TextStream(decode, ())

    assert stream.push(ord("a"), None) == Piece("a")
    assert stream.push(ord("$"), "stop") == Piece("", "stop")


def test_the_last_token_before_the_limit_is_text():
    stream = TextStream(decode, ())

    assert stream.push(ord("a"), "length") == Piece("a", "length")


def test_text_held_back_for_a_stop_string_comes_with_the_end():
    stream = TextStream(decode, ("END",))

    assert stream.push(ord("E"), None) == Piece("")
    assert stream.push(ord("$"), "stop") == Piece("E", "stop")


def test_a_stop_string_ends_the_answer():
    stream = TextStream(decode, ("EN",))

    assert [stream.push(ord(letter), None) for letter in "aEN"] == [Piece("a"), Piece(""), Piece("", "stop")]


def test_a_stop_string_that_completes_with_the_last_token_is_still_not_shown():
    stream = TextStream(decode, ("EN",))

    assert [stream.push(ord("E"), None), stream.push(ord("N"), "length")] == [Piece(""), Piece("", "stop")]
