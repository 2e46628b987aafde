"""What is seen in a playbook before any Mac is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.data import data_path
from macfleet.core.errors import PlaybookError
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Settings
from macfleet.playbook.check import problems_of_templates
from macfleet.playbook.fill import MISTAKES, check_expression, check_syntax, fill
from macfleet.playbook.load import load_playbook
from macfleet.playbook.names import problems_of_names
from macfleet.playbook.variables import missing
from macfleet.serving.materials import read_templates
from tests.modules.memory_mac import MAC
from tests.playbook.paint import Paint


def refusals(task, variables="{}"):
    """Every mistake in a playbook of this one task, which stands on line 3."""
    with pytest.raises(PlaybookError) as caught:
        load_playbook(f"vars: {variables}\ntasks:\n  - {task}\n", "x.yaml", (Paint(),))
    return [caught.value.what, *caught.value.truths]


@pytest.mark.parametrize(
    ("colour", "said"),
    [
        ("{{ vars.coluor }}", 'there is no "coluor"; did you mean "colour"?'),
        ("{{ colour }}", 'there is no "colour"; did you mean "vars.colour"?'),
        ("{{ setings.power }}", 'there is no "setings"; did you mean "settings"?'),
        ("{{ settings.power.slep_min }}", 'there is no "slep_min"; did you mean "sleep_min"?'),
        ("{{ mac.settings.tailscale.auth_key.evn }}", 'there is no "evn"; did you mean "env"?'),
        ("light {{ mac.paths.hmoe }}", 'there is no "hmoe"; did you mean "home"?'),
        ("{{ mac['nmae'] }}", 'there is no "nmae"; did you mean "name"?'),
        ("{{ mac.name | uper }}", 'there is no filter "uper"; did you mean "upper"?'),
        ("{% if mac.name is strnig %}a{% endif %}", 'there is no test "strnig"; did you mean "string"?'),
        ("{% for tag in mac.tags %}{{ tga }}{% endfor %}", 'there is no "tga"; '),
    ],
)
def test_a_name_that_nobody_gives_is_seen_without_a_mac(colour, said):
    [refusal] = refusals(f'{{name: a, paint: {{colour: "{colour}"}}}}', "{colour: red}")

    assert refusal.startswith(f"x.yaml:3: tasks/0/paint/colour: {said}")


def test_an_undefined_name_in_a_when_is_seen_also_behind_an_or():
    assert refusals("{name: a, when: mac.name == 'x' or vars.lat, paint: {colour: red}}", "{late: true}") == [
        'x.yaml:3: tasks/0/when: there is no "lat"; did you mean "late"?'
    ]


def test_a_var_that_uses_one_below_it_is_refused():
    assert refusals("{name: a, paint: {colour: red}}", "{a: '{{ vars.b }}', b: 1}") == [
        'x.yaml:1: vars/a: there is no "b"; known: runtime_id'
    ]


@pytest.mark.parametrize(
    ("colour", "variables"),
    [
        ("{{ vars.a.b }}", "{a: {b: c}}"),
        ("{{ mac.paths.at('/x') }}", "{}"),
        ("{{ mac.name.upper() }}", "{}"),
        ("{% for tag in mac.tags %}{{ loop.index }}{{ tag }}{% endfor %}", "{}"),
        ("{% set a = mac.name %}{{ a }}", "{}"),
        ("{{ vars.runtime_id }}", "{}"),
        ("{{ range(3) | join }}", "{}"),
    ],
)
def test_what_can_be_filled_on_a_mac_is_no_mistake(colour, variables):
    assert load_playbook(f'vars: {variables}\ntasks:\n  - {{name: a, paint: {{colour: "{colour}"}}}}\n', "x.yaml", (Paint(),))


@pytest.mark.parametrize(("coats", "variables"), [("many", "{}"), ("{{ vars.coats }}", "{coats: many}"), ("{{ vars.a }}ny", "{a: ma}")])
def test_a_value_of_the_wrong_kind_is_seen_also_through_a_var_that_is_the_same_everywhere(coats, variables):
    assert refusals(f"{{name: a, paint: {{colour: red, coats: '{coats}'}}}}", variables) == [
        'x.yaml:3: tasks/0/paint/coats: "many" is not a whole number'
    ]


def test_a_value_that_only_a_mac_knows_is_not_judged():
    assert load_playbook('tasks:\n  - {name: a, paint: {colour: red, coats: "{{ mac.name }}"}}\n', "x.yaml", (Paint(),))


def template_problems(task, **templates):
    texts = {f"{name}.conf.j2": text for name, text in templates.items()}
    book = load_playbook(f"tasks:\n  - name: a\n    {task}\n", "x.yaml")
    return [problem.at("x.yaml") for problem in problems_of_templates(book, texts)]


def test_a_template_that_is_not_there_is_seen():
    assert template_problems("template: {template: colors.conf.j2, path: /x}", colours="") == [
        'x.yaml:3: tasks/0/template/template: there is no template "colors.conf.j2"; did you mean "colours.conf.j2"?'
    ]


def test_a_name_that_a_template_wants_and_its_task_does_not_give_is_seen_with_both_lines():
    task = "template: {template: a.conf.j2, path: /x, vars: {colour: red}}"

    assert template_problems(task, a="{{ colour }}\n{{ mac.name }} {{ login }}\n{{ color }}\n") == [
        'x.yaml:3: tasks/0/template/template: templates/a.conf.j2:3: there is no "color"; did you mean "colour"?'
    ]


def test_a_template_that_is_none_is_seen():
    [said] = template_problems("template: {template: a.conf.j2, path: /x}", a="\n{{ mac.name }\n")

    assert said.startswith("x.yaml:3: tasks/0/template/template: templates/a.conf.j2:2: ")


OURS = {path.stem: load_playbook(path.read_text(encoding="utf-8"), path.name) for path in sorted(data_path("playbooks").glob("*.yaml"))}


@pytest.mark.parametrize("name", OURS)
def test_our_own_playbooks_are_without_mistakes(name):
    assert problems_of_templates(OURS[name], read_templates()) == []


@pytest.mark.parametrize("name", [name for name in OURS if name != "provision"])
def test_a_task_that_provision_has_too_is_the_same_in_every_playbook(name):
    of_provision = {task.name: (task.module.name, task.args, task.when, task.tags) for task in OURS["provision"].tasks}
    shared = [task for task in OURS[name].tasks if task.name in of_provision]

    assert [(task.module.name, task.args, task.when, task.tags) for task in shared] == [of_provision[task.name] for task in shared]


def test_the_playbook_that_the_description_shows_is_one():
    text = (data_path("playbooks") / "README.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]

    book = load_playbook(text, "README.md")

    assert missing(book) == ("contact",)
    assert book.batches(8) == (1, 4, 3)
    assert [task.notify for task in book.tasks] == [(), ("The agent starts anew",)]
    assert problems_of_templates(book, read_templates()) == []


PIECES = [
    "{{",
    "}}",
    "{%",
    "%}",
    " mac",
    ".name",
    "vars",
    "['a']",
    "[0]",
    "(",
    ")",
    "|",
    "upper",
    " is ",
    "for x in ",
    "endfor",
    "set y = ",
]
PIECES += [
    "if ",
    "endif",
    "macro m()",
    "endmacro",
    "include 'x'",
    "x",
    "1",
    "'",
    ",",
    "{",
    "}",
    "~",
    "else",
    "block b",
    "endblock",
    "\n",
    "é",
]


def outcome(text):
    """What becomes of a text: refused for its syntax, for its names, when it is filled, or filled."""
    if check_syntax(text):
        return "syntax"
    if problems_of_names(text, {"mac": Mac, "settings": Settings, "vars": {}}):
        return "names"
    try:
        fill(text, {"mac": MAC, "settings": MAC.settings, "vars": {}})
    except MISTAKES:
        return "filling"
    return "filled"


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_whatever_stands_in_an_expression_is_refused_or_filled(text):
    assert outcome(text) in ("syntax", "names", "filling", "filled")


def test_an_expression_that_nests_too_deeply_is_refused():
    assert check_syntax("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}") == "this nests too deeply"
    assert check_expression("(" * 5000 + "1" + ")" * 5000) == "this nests too deeply"


def ends(text):
    """How a text is taken: as a playbook, or refused with its line; anything else is raised."""
    try:
        load_playbook(text, "x.yaml")
    except PlaybookError as error:
        return error.what[:7]
    return "taken"


LINES = (data_path("playbooks") / "rdma-network.yaml").read_text(encoding="utf-8").splitlines(keepends=True)


@pytest.mark.parametrize("at", range(len(LINES)))
def test_a_playbook_that_is_cut_or_lacks_a_line_is_taken_or_refused_with_its_line(at):
    cut, gap = ends("".join(LINES[:at])), ends("".join(LINES[:at] + LINES[at + 1 :]))

    assert {cut, gap} <= {"taken", "x.yaml:"}
