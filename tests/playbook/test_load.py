import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.errors import PlaybookError
from macfleet.playbook.load import load_playbook
from macfleet.playbook.tasks import owed
from tests.playbook.paint import Paint

GOOD = """\
tasks:
  - name: The Mac is green
    tags: [looks]
    when: settings.power.sleep_min == 0
    paint:
      colour: green
  - name: The Mac is bright
    tags: [looks, light]
    paint: {colour: "{{ vars.bright }}"}
vars:
  bright: yellow
"""


def load(text):
    return load_playbook(text, "provision.yaml", (Paint(),))


def test_tasks_keep_the_order_of_the_file():
    assert [task.name for task in load(GOOD).tasks] == ["The Mac is green", "The Mac is bright"]


def test_a_tag_selects_its_tasks():
    assert [task.name for task in load(GOOD).tagged(["light"]).tasks] == ["The Mac is bright"]


def test_a_tag_nobody_carries_is_refused_with_the_near_one():
    with pytest.raises(PlaybookError, match='no task is tagged "lihgt"') as caught:
        load(GOOD).tagged(["lihgt"])

    assert caught.value.hint == 'did you mean "light"?'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tasks:\n  - name: x\n    pant: {colour: red}\n", r'provision\.yaml:3: .*there is no module "pant"; did you mean "paint"'),
        (
            "tasks:\n  - name: x\n    paint:\n      color: red\n",
            r'provision\.yaml:4: .*"color" is not a key of paint; did you mean "colour"',
        ),
        ("tasks:\n  - name: x\n    paint: {coats: 2}\n", r'provision\.yaml:3: .*paint needs "colour"'),
        ("tasks:\n  - paint: {colour: red}\n", r"provision\.yaml:2: .*this task has no name"),
        ("tasks:\n  - name: x\n", r"provision\.yaml:2: .*this task has no module"),
        ("tasks:\n  - name: x\n    paint: red\n", r"provision\.yaml:3: .*paint takes keys: colour, coats"),
        ("tasks:\n  - name: x\n    when: '{{ yes }}'\n    paint: {colour: red}\n", r"provision\.yaml:3: .*without \{\{ \}\}"),
        ("tasks:\n  - name: x\n    when: 1 +\n    paint: {colour: red}\n", r"provision\.yaml:3: .*in '1 \+'"),
        ("tasks:\n  - name: x\n    paint: {colour: '{{ mac. }}'}\n", r"provision\.yaml:3: .*in '\{\{ mac\. \}\}'"),
        ("tasks:\n  - name: x\n    tags: looks\n    paint: {colour: red}\n", r"provision\.yaml:3: .*write a list"),
        ("tasks:\n  - name: x\n    tags: [[a]]\n    paint: {colour: red}\n", r"provision\.yaml:3: .*write a list"),
        ("- name: x\n", r"provision\.yaml:1: this file holds no playbook"),
        ("tasks:\n  - name: x\n   paint: 1\n", r"provision\.yaml:3: this is not YAML"),
        ("vras: {}\ntasks: []\n", r'provision\.yaml:1: .*"vras" is not a key of a playbook; did you mean "vars"'),
        ("vars: [a]\ntasks: []\n", r"provision\.yaml:1: vars: write one NAME: VALUE"),
        ("vars: {a-b: 1}\ntasks: []\n", r'provision\.yaml:1: vars/a-b: "a-b" is no name'),
        ("vars: {runtime_id: 1}\ntasks: []\n", r"provision\.yaml:1: .*comes from macfleet itself"),
        ("vars:\n  a: 1\n  b: '{{ a'\ntasks: []\n", r"provision\.yaml:3: vars/b: .*in '\{\{ a'"),
        ("serial: some\ntasks: []\n", r"provision\.yaml:1: serial: say how many Macs at a time"),
        ("serial: 101%\ntasks: []\n", r"provision\.yaml:1: serial: say how many"),
        ("serial: 0\ntasks: []\n", r"provision\.yaml:1: serial: say how many"),
        ("serial: [1, []]\ntasks: []\n", r"provision\.yaml:1: serial: say how many"),
        ("serial: 1\nmax_failures: -1\ntasks: []\n", r"provision\.yaml:2: max_failures: say how many Macs may fail"),
        ("max_failures: 1\ntasks: []\n", r"provision\.yaml:1: max_failures: this stops between batches"),
        ("handlers: {a: b}\ntasks: []\n", r"provision\.yaml:1: handlers: write a list of tasks"),
    ],
)
def test_a_mistake_is_shown_with_its_line(text, problem):
    with pytest.raises(PlaybookError, match=problem):
        load(text)


def test_all_mistakes_are_shown_at_once():
    with pytest.raises(PlaybookError) as caught:
        load("tasks:\n  - paint: {color: red}\n  - name: x\n    pant: {}\n")

    assert [said.split(":")[1] for said in (caught.value.what, *caught.value.truths)] == ["2", "2", "4"]


HANDLED = """\
serial: [1, 50%]
tasks:
  - name: The Mac is green
    notify: [admire]
    paint: {colour: green}
handlers:
  - name: frame
    paint: {colour: gold}
  - name: admire
    notify: [frame]
    paint: {colour: pink}
"""


def test_a_handler_that_another_one_notifies_runs_after_it():
    assert [handler.name for handler in load(HANDLED).handlers] == ["admire", "frame"]


def test_a_tag_leaves_the_handlers_in():
    tagged = load(HANDLED.replace("    notify: [admire]\n", "    notify: [admire]\n    tags: [looks]\n")).tagged(["looks"])

    assert [handler.name for handler in tagged.handlers] == ["admire", "frame"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("notify: [admire]", "notify: [admrie]", r'provision\.yaml:4: tasks/0/notify: there is no handler "admrie"; did you mean "admire"'),
        ("notify: [frame]", "notify: [admire]", r"provision\.yaml:10: .*in a circle: admire → admire"),
        ("paint: {colour: gold}", "notify: [admire]\n    paint: {colour: gold}", r"in a circle: (admire → frame|frame → admire) → "),
        ("notify: [frame]", "notify: []", r'provision\.yaml:7: handlers/0: nothing notifies "frame"'),
        ("name: frame", "name: admire", r"provision\.yaml:9: .*this name stands on line 7 already"),
        ("name: frame", "name: The Mac is green", r"provision\.yaml:7: .*this name stands on line 3 already"),
        (
            "tasks:",
            "tasks:\n  - {name: The Mac is green, paint: {colour: red}}",
            r"provision\.yaml:4: .*this name stands on line 3 already",
        ),
        ("notify: [admire]", "notify: admire", r"provision\.yaml:4: .*write a list"),
        ("notify: [frame]", "notify: [frame]\n    tags: [a]", r"provision\.yaml:11: .*a handler has no tags"),
    ],
)
def test_a_mistake_in_who_notifies_whom_is_shown_with_its_line(old, new, problem):
    with pytest.raises(PlaybookError) as caught:
        load(HANDLED.replace(old, new))

    assert [said for said in (caught.value.what, *caught.value.truths) if re.search(problem, said)]


def test_a_notification_without_any_handlers_says_where_they_are_written():
    with pytest.raises(PlaybookError, match=r'there is no handler "a"; write it under "handlers:"'):
        load("tasks:\n  - name: x\n    notify: [a]\n    paint: {colour: red}\n")


@pytest.mark.parametrize(
    ("serial", "macs", "batches"),
    [
        ("3", 8, (3, 3, 2)),
        ("25%", 8, (2, 2, 2, 2)),
        ("10%", 4, (1, 1, 1, 1)),
        ("[1, 50%]", 8, (1, 4, 3)),
        ("100%", 8, (8,)),
        ("20", 8, (8,)),
        ("1", 0, ()),
    ],
)
def test_batches_are_as_large_as_serial_says(serial, macs, batches):
    assert load(f"serial: {serial}\ntasks: []\n").batches(macs) == batches


def test_without_serial_all_macs_have_their_turn_at_once_and_nothing_stops_them():
    assert load(GOOD).batches(64) == (64,)
    assert load(GOOD).may_go_on(failed=64)


@pytest.mark.parametrize(
    ("text", "failed", "goes_on"), [("", 0, True), ("", 1, False), ("max_failures: 2\n", 2, True), ("max_failures: 2\n", 3, False)]
)
def test_batches_stop_at_the_first_failure_unless_more_are_allowed(text, failed, goes_on):
    assert load(f"serial: 1\n{text}tasks: []\n").may_go_on(failed) is goes_on


@pytest.mark.parametrize(
    ("done", "waiting"),
    [
        ([], set()),
        (["The Mac is green"], {"admire"}),
        (["The Mac is green", "admire"], {"frame"}),
        (["The Mac is green", "admire", "frame"], set()),
        (["The Mac is green", "admire", "frame", "The Mac is green"], {"admire"}),
    ],
)
def test_a_handler_is_owed_until_it_has_run_after_what_woke_it(done, waiting):
    book = load(HANDLED)

    assert owed((*book.tasks, *book.handlers), done) == waiting


PIECES = [
    "handlers:\n",
    "notify: [x]\n",
    "serial: 1\n",
    "tasks:\n",
    "  - ",
    "name: x\n",
    "    paint:",
    " {colour: red}\n",
    "      colour: ",
    "'{{ mac.name }}'\n",
    "{{",
    "when: ",
    "[a, b]",
    "\n",
    "\t",
    "&a",
    "~",
]


def refusal_of(text):
    """What is said of a text that is no playbook; the start of a refusal for one that is."""
    try:
        load(text)
    except PlaybookError as error:
        return error.what
    return "provision.yaml:"


@given(st.lists(st.sampled_from(PIECES)).map("".join) | st.text())
def test_whatever_the_text_is_it_loads_or_is_refused_with_its_line(text):
    assert refusal_of(text).startswith("provision.yaml:")
