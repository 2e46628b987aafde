import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.api.sections import Marks, Section, Sections

MARKS = Marks(
    {
        "normal": [("<think>", "reasoning"), ("<call>", "tool")],
        "reasoning": [("</think>", "normal"), ("<call>", "tool")],
        "tool": [("</call>", "normal")],
    }
)


def cut(pieces, marks=MARKS, first=None):
    sections = Sections(marks, first)
    found = [part for piece in pieces for part in sections.push(piece)]
    found.append(sections.flush())
    joined = []
    for section, text in found:
        if joined and joined[-1][0] == section:
            joined[-1] = (section, joined[-1][1] + text)
        elif text:
            joined.append((section, text))
    return joined


def test_a_text_is_cut_at_its_marks():
    assert cut(["<think>hm</think>Yes.<call>{}</call>"]) == [("reasoning", "hm"), ("normal", "Yes."), ("tool", "{}")]


def test_what_is_no_mark_after_all_is_text():
    assert cut(["a <thi", "s> b <", "c"]) == [("normal", "a <this> b <c")]


def test_a_template_may_have_opened_the_reasoning():
    assert cut(["hm</think>Yes"], first=Section.REASONING) == [("reasoning", "hm"), ("normal", "Yes")]


def test_a_section_that_nobody_wants_is_text():
    assert cut(["<call>{}</call>!"], MARKS.without("tool")) == [("normal", "<call>{}</call>!")]


@given(st.lists(st.sampled_from(["<think>", "</think>", "<call>", "</call>", "<", "th", "a", "</c", ">"]), max_size=12), st.data())
def test_it_does_not_matter_how_the_text_came_in_pieces(words, data):
    text = "".join(words)
    at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]

    assert cut(pieces) == cut([text])


@pytest.mark.parametrize("text", ["", "no marks at all"])
def test_without_marks_all_is_answer(text):
    assert "".join(part for _, part in cut([text], Marks())) == text
