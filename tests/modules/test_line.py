"""line: one line in somebody else's file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.errors import PlaybookError
from macfleet.modules.line import LineArgs
from tests.modules.memory_mac import Entry, MemoryMac
from tests.modules.play import plan, play

NO_PASSWORD = 'line: {path: /etc/sshd, line: "Password no", instead_of: "^#?Password "}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "Password no\n"),
        ("Port 22\n", "Port 22\nPassword no\n"),
        ("Port 22", "Port 22\nPassword no\n"),
        ("#Password yes\nPort 22\n", "Password no\nPort 22\n"),
        ("A\nPassword yes\nB\nPassword no\n", "A\nPassword no\nB\n"),
        ("Password no\n", "Password no\n"),
        ("A\nPassword no", "A\nPassword no"),
    ],
)
def test_the_line_stands_once_and_where_the_other_one_stood(before, after):
    args = LineArgs(path="/x", line="Password no", instead_of="^#?Password ")

    assert args.edited(before) == after
    assert args.edited(after) == after


@given(
    st.lists(st.sampled_from(["a", "b", "#a", "  a", "c d", "e\x0cf", "g\r", ""])),
    st.sampled_from(["present", "absent"]),
    st.sampled_from([None, "^#?a$"]),
)
def test_all_other_lines_stay_and_a_second_edit_changes_nothing(lines, state, instead_of):
    args = LineArgs(path="/x", line="a", state=state, instead_of=instead_of)

    edited = args.edited("".join(f"{line}\n" for line in lines))

    others = [line for line in lines if line != "a" and not (instead_of and line == "#a")]
    assert [line for line in edited.split("\n")[:-1] if line != "a"] == others
    assert args.edited(edited) == edited


def test_an_unwanted_line_goes_wherever_it_is():
    args = LineArgs(path="/x", line="a", state="absent")

    assert args.edited("a\nb\na\n") == "b\n"
    assert args.edited("b\n") == "b\n"


def test_the_file_keeps_its_mode_and_its_owner():
    memory = MemoryMac()
    memory.files["/etc/sshd"] = Entry(b"#Password yes\n", "640", "fleet", "admin")

    done, left = play(memory, NO_PASSWORD)

    assert done == ["line 'Password no' in /etc/sshd other line → present"]
    assert memory.files["/etc/sshd"] == Entry(b"Password no\n", "640", "fleet", "admin")
    assert left.is_as_wanted


def test_a_missing_file_holds_nothing_that_must_go():
    assert plan(MemoryMac(), "line: {path: /etc/x, line: a, state: absent}").is_as_wanted


def test_a_private_file_is_read_as_root_and_shown_to_nobody():
    memory = MemoryMac()
    memory.files["/etc/key"] = Entry(b"token: old\n", "600", "root", "wheel")

    [(_, change)] = plan(memory, 'line: {path: /etc/key, line: "token: new", instead_of: "^token", private: true}').changes

    assert change.what == "a line in /etc/key"
    assert change.detail == ""
    assert not any("token" in word for command in (*change.commands, *change.undo) for word in command.argv)


def test_what_is_no_text_is_left_alone():
    memory = MemoryMac()
    memory.files["/etc/x"] = Entry(b"\xff\xfe\n", "644", "root", "wheel")

    made = plan(memory, "line: {path: /etc/x, line: a}")

    assert not made.changes
    assert "is not plain text" in made.unknown[0][1].reason


@pytest.mark.parametrize("wrong", ['line: "a\\nb"', 'line: ""', "line: a, instead_of: '('"])
def test_what_makes_no_sense_is_refused_before_any_mac_is_asked(wrong):
    with pytest.raises(PlaybookError, match=r"x\.yaml:"):
        plan(MemoryMac(), f"line: {{path: /etc/x, {wrong}}}")
