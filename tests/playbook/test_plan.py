from pathlib import Path

import pytest

from macfleet.core.change import Change
from macfleet.core.command import command
from macfleet.core.errors import PlaybookError
from macfleet.core.fact import Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.modules.base import Surroundings
from macfleet.playbook.load import load_playbook
from macfleet.playbook.plan import fill_tasks, plan_mac, wanted_facts
from macfleet.playbook.variables import fill_variables, give, missing
from tests.playbook.paint import COLOUR, Paint

MAC = Mac("studio-1", "10.0.0.1", "Mac16,9", 2**36, user="fleet")


def playbook(*tasks):
    return load_playbook("tasks:\n" + "".join(f"  - {task}\n" for task in tasks), "x.yaml", (Paint(),))


def plan(colour, *tasks):
    filled = fill_tasks(playbook(*tasks), MAC, {})
    return plan_mac(filled, MAC, Facts({COLOUR: colour}), Surroundings())


def args_of(task, variables="{}"):
    text = f"vars: {variables}\ntasks:\n  - {task}\n"
    return fill_tasks(load_playbook(text, "x.yaml", (Paint(),)), MAC, {})[0].args


def test_a_mac_that_already_agrees_has_an_empty_plan():
    assert plan("green", "{name: a, paint: {colour: green}}").is_as_wanted


def test_a_difference_is_a_change_with_before_and_after():
    [(task, change)] = plan("red", "{name: a, paint: {colour: green}}").changes

    assert (task, change.line()) == ("a", "colour red → green")


def test_what_nobody_could_look_at_is_not_as_wanted():
    made = plan(Unknown("brush fell"), "{name: a, paint: {colour: green}}")

    assert not made.is_as_wanted
    assert made.unknown == (("a", Unknown("brush fell")),)


def test_what_this_mac_has_not_is_said_and_no_fault():
    made = plan("glass", "{name: a, paint: {colour: green}}")

    assert made.is_as_wanted
    assert made.unsupported[0][1].reason == "glass takes no paint"


def test_two_tasks_with_one_question_ask_it_once():
    filled = fill_tasks(playbook("{name: a, paint: {colour: red}}", "{name: b, paint: {colour: blue}}"), MAC, {})

    assert wanted_facts(filled, MAC) == (COLOUR,)


def test_a_task_whose_when_is_false_is_left_out():
    assert fill_tasks(playbook('{name: a, when: mac.name == "studio-2", paint: {colour: red}}'), MAC, {}) == ()


def test_a_when_that_is_neither_true_nor_false_is_an_error_with_its_line():
    with pytest.raises(PlaybookError, match=r"x\.yaml:2: this is 'fleet', neither true nor false"):
        fill_tasks(playbook("{name: a, when: mac.user, paint: {colour: red}}"), MAC, {})


def test_a_whole_expression_keeps_its_type():
    assert args_of('{name: a, paint: {colour: red, coats: "{{ settings.power.display_sleep_min }}"}}').coats == 10


def test_an_expression_inside_text_makes_text():
    assert args_of('{name: a, paint: {colour: "light {{ vars.colour }}"}}', "{colour: blue}").colour == "light blue"


def test_a_name_nobody_gave_is_an_error_with_line_and_near_name():
    with pytest.raises(PlaybookError, match=r'x\.yaml:3: tasks/0/paint/colour: there is no "sleep_mins"; did you mean "sleep_min"'):
        args_of('{name: a, paint: {colour: "{{ settings.power.sleep_mins }}"}}')


def test_arithmetic_with_a_word_is_an_error_with_its_line():
    with pytest.raises(PlaybookError, match=r"x\.yaml:3: unsupported operand"):
        args_of('{name: a, paint: {colour: red, coats: "{{ settings.wired_limit // 2 }}"}}')


def test_a_value_of_the_wrong_kind_is_an_error_with_its_line():
    with pytest.raises(PlaybookError, match=r'x\.yaml:3: tasks/0/paint/coats: "many" is not a whole number'):
        args_of("{name: a, paint: {colour: red, coats: many}}")


def test_paths_of_the_mac_are_below_its_root():
    mac = Mac("studio-1", "10.0.0.1", "Mac16,9", 2**36, root=str(Path("/tmp/x")))
    filled = fill_tasks(playbook('{name: a, paint: {colour: "{{ mac.paths.logs }}"}}'), mac, {})

    assert filled[0].args.colour == "/tmp/x/var/log/macfleet"


HANDLERS = """\
handlers:
  - name: dry
    notify: [sell]
    paint: {colour: dry}
  - name: sell
    paint: {colour: sold}
"""


def plan_with_handlers(colour, owed=()):
    return [task for task, _ in handled(colour, owed).changes]


def handled(colour, owed=()):
    text = "tasks:\n  - {name: a, notify: [dry], paint: {colour: green}}\n" + HANDLERS
    filled = fill_tasks(load_playbook(text, "x.yaml", (Again(),)), MAC, {})
    return plan_mac(filled, MAC, Facts({COLOUR: colour}), Surroundings(), owed)


class Again(Paint):
    """Paint that can be put on once more."""

    def again(self, args, mac, facts, around):
        return [Change("colour", "old coat", args.colour, (command("paint", args.colour),))]


def test_a_change_wakes_its_handlers_and_they_wake_theirs_behind_all_tasks():
    assert plan_with_handlers("red") == ["a", "dry", "sell"]


def test_without_a_change_handlers_sleep():
    assert plan_with_handlers("green") == []


def test_a_handler_that_is_owed_from_earlier_runs_though_the_mac_agrees():
    assert plan_with_handlers("green", owed={"sell"}) == ["sell"]


def test_handlers_wait_for_another_look_behind_the_tasks_that_wake_them():
    first, second = handled("red"), handled("green", owed={"dry"})

    assert [task for task, _ in first.runnable] == ["a"]
    assert not first.ends_here
    assert [task for task, _ in second.runnable] == ["dry", "sell"]
    assert second.ends_here


def test_a_handler_of_a_module_that_cannot_repeat_itself_is_a_task_like_any_other():
    text = "tasks:\n  - {name: a, notify: [b], paint: {colour: green}}\nhandlers:\n  - {name: b, paint: {colour: red}}\n"
    filled = fill_tasks(load_playbook(text, "x.yaml", (Paint(),)), MAC, {})

    made = plan_mac(filled, MAC, Facts({COLOUR: "red"}), Surroundings())

    assert [task for task, _ in made.changes] == ["a"]


def colour_with(variables, value="{{ vars.colour }}"):
    return args_of(f"{{name: a, paint: {{colour: '{value}'}}}}", variables).colour


def test_a_var_may_use_the_mac_and_the_vars_above_it():
    assert colour_with("{tone: light, colour: '{{ vars.tone }} {{ mac.name }}'}") == "light studio-1"


def test_true_and_false_are_no_texts_in_a_when():
    assert fill_tasks(whether("{fast: false}", "not vars.fast"), MAC, {})
    assert not fill_tasks(whether("{fast: 'true'}", "not vars.fast"), MAC, {})


def test_a_boolean_inside_text_is_written_in_lower_case():
    assert colour_with("{fast: 'true'}", "fast {{ vars.fast }} {{ settings.power.power_nap }} {{ 1 }}") == "fast true false 1"


def whether(variables, when):
    return load_playbook(f"vars: {variables}\ntasks:\n  - {{name: a, when: {when}, paint: {{colour: red}}}}\n", "x.yaml", (Paint(),))


def test_a_var_can_be_given_for_one_run_and_is_then_text_with_all_its_braces():
    given = give(whether("{fast: false}", "vars.fast"), {"fast": "true"})
    odd = give(whether("{fast: false}", "vars.fast == 1"), {"fast": "{{ mac.name }}"})

    assert fill_tasks(given, MAC, {})
    assert fill_variables(odd, {"mac": MAC, "vars": {}}) == {"fast": "{{ mac.name }}"}


def test_a_var_that_the_playbook_does_not_declare_cannot_be_given():
    with pytest.raises(PlaybookError, match=r'x.yaml: there is no var "fsat"') as caught:
        give(whether("{fast: false}", "vars.fast"), {"fsat": "true"})

    assert caught.value.hint == 'did you mean "fast"?'


def test_a_var_without_a_value_must_be_given():
    with pytest.raises(PlaybookError, match=r'x\.yaml:2: "fast" has no value') as caught:
        fill_tasks(whether("\n  fast:", "vars.fast"), MAC, {})

    assert caught.value.hint == "give it one: --var fast=…"
    assert missing(whether("\n  fast:", "vars.fast")) == ("fast",)
