import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.errors import PlaybookError
from macfleet.playbook.load import load_playbook
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
        ("vras: {}\ntasks: []\n", r'provision\.yaml:1: .*"vras" is not a key of a playbook'),
    ],
)
def test_a_mistake_is_shown_with_its_line(text, problem):
    with pytest.raises(PlaybookError, match=problem):
        load(text)


def test_all_mistakes_are_shown_at_once():
    with pytest.raises(PlaybookError) as caught:
        load("tasks:\n  - paint: {color: red}\n  - name: x\n    pant: {}\n")

    assert [said.split(":")[1] for said in (caught.value.what, *caught.value.truths)] == ["2", "2", "4"]


PIECES = [
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
