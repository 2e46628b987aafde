from pathlib import Path

import pytest

from macfleet.core.errors import PlaybookError
from macfleet.core.fact import Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.modules.base import Surroundings
from macfleet.playbook.load import load_playbook
from macfleet.playbook.plan import fill_tasks, plan_mac, wanted_facts
from tests.playbook.paint import COLOUR, Paint

MAC = Mac("studio-1", "10.0.0.1", "Mac16,9", 2**36, user="fleet")


def playbook(*tasks):
    return load_playbook("tasks:\n" + "".join(f"  - {task}\n" for task in tasks), "x.yaml", (Paint(),))


def plan(colour, *tasks):
    filled = fill_tasks(playbook(*tasks), MAC, {})
    return plan_mac(filled, MAC, Facts({COLOUR: colour}), Surroundings())


def args_of(task, **variables):
    return fill_tasks(playbook(task), MAC, variables)[0].args


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
    assert args_of('{name: a, paint: {colour: "light {{ vars.colour }}"}}', colour="blue").colour == "light blue"


def test_a_name_nobody_gave_is_an_error_with_line_and_near_name():
    with pytest.raises(PlaybookError, match=r'x\.yaml:2: there is no "sleep_mins"; did you mean "sleep_min"'):
        args_of('{name: a, paint: {colour: "{{ settings.power.sleep_mins }}"}}')


def test_arithmetic_with_a_word_is_an_error_with_its_line():
    with pytest.raises(PlaybookError, match=r"x\.yaml:2: unsupported operand"):
        args_of('{name: a, paint: {colour: red, coats: "{{ settings.wired_limit // 2 }}"}}')


def test_a_value_of_the_wrong_kind_is_an_error_with_its_line():
    with pytest.raises(PlaybookError, match=r'x\.yaml:2: coats: "many" is not a whole number'):
        args_of("{name: a, paint: {colour: red, coats: many}}")


def test_paths_of_the_mac_are_below_its_root():
    mac = Mac("studio-1", "10.0.0.1", "Mac16,9", 2**36, root=str(Path("/tmp/x")))
    filled = fill_tasks(playbook('{name: a, paint: {colour: "{{ mac.paths.logs }}"}}'), mac, {})

    assert filled[0].args.colour == "/tmp/x/var/log/macfleet"
