"""Whatever a Mac prints, a parser gives a value or says Unparsable: no other exception, and no half list for a whole one.

`tests/macos/parsers.py` finds every parser by itself; `tests/macos/samples.py` must hold a text for each. What the checks make
of such texts is in `tests/checks/test_bad_answers.py`.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.core.result import Result
from macfleet.macos import launchctl, networksetup, plutil, system_profiler
from tests.macos.mangled import everything, is_json, json_with_a_new_key
from tests.macos.parsers import FACTS, NOT_FOUND, PARSERS
from tests.macos.recordings import FIXTURES, recorded
from tests.macos.samples import texts_of

RECORDINGS = sorted(
    str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("*") if path.is_file() and not path.name.endswith((".source.txt", ".md"))
)
TEXTS = {parse: texts_of(parse.__name__, RECORDINGS) for parse in PARSERS}
PAIRS = [pytest.param(parse, text, id=f"{parse.__name__} of {name}") for parse in PARSERS for name, text in TEXTS[parse].items()]
# In this JSON the keys are names, and a new one is a new thing.
KEYS_ARE_NAMES = {"parse_bridges", "parse_stored_bridges"}
JSON_PAIRS = [pair for pair in PAIRS if is_json(pair.values[1]) and pair.values[0].__name__ not in KEYS_ARE_NAMES]
# One line that could be anything is a value for these: a name, a lump of rows, what a file says.
TAKES_ANYTHING = {"parse_sysctl", "parse_exemptions"}
# Programs whose answer shows that it is whole: cut anywhere, it is refused.
SHOWS_ITS_END = {
    "thunderbolt/sp_thunderbolt.mac_studio_m3ultra.connected_mbp_and_drive.json": system_profiler.parse_thunderbolt,
    "thunderbolt/networksetup_listallhardwareports.studio_6ports_no_bridge.sanitised.txt": networksetup.parse_hardware_ports,
    "ops/launchctl_print_system.running.txt": launchctl.parse_print,
    "thunderbolt/plutil_bridge_prefs.mbp.sanitised.json": plutil.parse_bridges,
}


def value_or_unparsable(parse, text):
    """The value; None for Unparsable. Everything else goes through, and fails the test."""
    try:
        return parse(text)
    except Unparsable:
        return None


def assert_all_survive(text):
    for parse in PARSERS:
        value_or_unparsable(parse, text)


def test_there_are_recordings_parsers_and_questions():
    assert len(RECORDINGS) > 50
    assert len(PARSERS) > 40
    assert len(FACTS) > 40


def test_every_parser_and_question_is_found():
    # A parser takes one text; tests/macos/parsers.py has an argument for whatever a function needs that makes a Fact.
    assert NOT_FOUND == []


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
def test_every_parser_has_a_text_that_it_understands(parse):
    assert TEXTS[parse], f"add its recording, or a reconstructed text, to tests/macos/samples.py: {parse.__name__}"
    assert [name for name, text in TEXTS[parse].items() if value_or_unparsable(parse, text) is None] == []


@pytest.mark.parametrize("parse", [parse for parse in PARSERS if parse.__name__ not in TAKES_ANYTHING], ids=lambda parse: parse.__name__)
def test_who_refuses_a_text_names_the_program(parse):
    with pytest.raises(Unparsable, match=r"^`.+` answered in a form macfleet does not know: "):
        parse("\x00 ü {\nx")


# A program that went wild: as much as fits through in a moment, of one kind.
WILD = {
    "one line": "x" * 40_000,
    "empty lines": "\n" * 40_000,
    "blanks": " " * 40_000,
    "rows": "a: b = 1\n" * 4_000,
    "digits": "7" * 40_000,
}


@pytest.mark.parametrize("kind", WILD)
@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
def test_a_refusal_is_a_sentence_however_much_was_printed(parse, kind):
    first = next(iter(TEXTS[parse].values())).partition("\n")[0]

    said = [refusal(parse, text) for text in (WILD[kind], f"{first}\n{WILD[kind]}", f"{first}{WILD[kind]}!")]

    assert [len(words) for words in said if len(words) > 400] == []


def refusal(parse, text):
    try:
        parse(text)
    except Unparsable as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("parse", "text"), PAIRS)
def test_a_text_mangled_in_every_way_is_a_value_or_refused(parse, text):
    for _, mangled in everything(text):
        value_or_unparsable(parse, mangled)


@pytest.mark.parametrize(("parse", "text"), JSON_PAIRS)
def test_a_key_that_nobody_knows_changes_nothing(parse, text):
    whole = value_or_unparsable(parse, text)

    assert [what for what, more in json_with_a_new_key(text) if value_or_unparsable(parse, more) not in (whole, None)] == []


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_cut_short_at_any_line_is_a_value_or_refused(name):
    lines = recorded(name).splitlines(keepends=True)

    for count in range(len(lines) + 1):
        assert_all_survive("".join(lines[:count]))


@pytest.mark.parametrize("name", sorted(SHOWS_ITS_END))
def test_where_the_end_shows_nothing_short_of_it_is_a_value(name):
    lines = recorded(name).splitlines(keepends=True)
    end = next(number for number, line in enumerate(lines) if "VLAN" in line or line.startswith("}")) if len(lines) > 1 else 0

    whole = [value_or_unparsable(SHOWS_ITS_END[name], "".join(lines[:count])) for count in range(end + 1)]

    assert whole == [None] * (end + 1)


@given(st.data())
def test_a_recording_cut_and_mangled_anywhere_is_a_value_or_refused(data):
    text = recorded(data.draw(st.sampled_from(RECORDINGS)))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))

    assert_all_survive(text[:start] + data.draw(st.text(max_size=20)) + text[end:])


@given(st.text())
def test_any_text_is_a_value_or_refused(text):
    assert_all_survive(text)


@given(st.data(), st.sampled_from([None, 0, 1, 113, 127, 255]))
def test_any_fact_of_any_answer_is_a_value_or_unknown(data, status):
    fact = data.draw(st.sampled_from(FACTS))
    texts = st.sampled_from(RECORDINGS).map(recorded) | st.text(max_size=80)

    results = [Result(command, status, data.draw(texts), data.draw(texts)) for command in fact.commands]

    assert fact.understand(results) is not Unknown


# What of the directories above a path is missing is asked to know what may be taken away again: nothing, then.
NEWS = [fact for fact in FACTS if not fact.name.startswith("directories above ")]


@pytest.mark.parametrize("fact", NEWS, ids=lambda fact: fact.name)
def test_a_program_that_is_not_there_is_never_good_news(fact):
    results = [Result(command, 127, "", f"sh: {command.argv[0]}: not found") for command in fact.commands]

    value = fact.understand(results)

    # Unknown, or "not installed": a value that says that something is absent, and never an empty list of troubles.
    assert isinstance(value, Unknown) or value is None or "NotInstalled" in repr(value), repr(value)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_every_fact_has_a_deadline_and_a_program_found_by_path(fact):
    assert all(0 < command.timeout_s <= 180 for command in fact.commands)
    # What macfleet has put there itself is called by its path; macOS's own programs never.
    assert not [command for command in fact.commands if command.argv[0].startswith("/") and "/opt/macfleet/" not in command.argv[0]]


def test_no_two_facts_share_a_name():
    names = [fact.name for fact in FACTS]

    assert len(names) == len(set(names))
