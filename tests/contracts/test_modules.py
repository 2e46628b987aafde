"""What every module promises. A module that is added to MODULES is tested here unasked."""

from pathlib import Path

import pytest

from macfleet.core.fact import Facts, Unknown
from macfleet.core.finding import Verdict
from macfleet.inventory.mac import Inventory
from macfleet.modules import MODULES
from macfleet.modules.base import Repeatable
from macfleet.playbook.as_check import PlaybookCheck
from macfleet.playbook.load import load_playbook
from macfleet.playbook.plan import plan_mac, wanted_facts
from tests.modules.memory_mac import MAC, MemoryMac
from tests.modules.play import AROUND, BUNDLE, as_text, plan, play, tasks

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


def cabled():
    return MemoryMac(peers={1: "FAR-1"}, tailnet="NoDaemon")


@every_module
def test_its_example_is_a_task(module):
    assert tasks(module.example)[0].task.module is module


@every_module
def test_a_change_closes_the_difference_and_a_second_run_changes_nothing(module):
    memory = cabled()

    done, left = play(memory, module.example)

    assert done
    assert left.is_as_wanted
    assert not left.changes


@every_module
def test_what_was_done_can_be_taken_back(module):
    memory = cabled()
    before = memory.without_our_notes()
    changes = [change for _, change in plan(memory, module.example).changes]
    apply(memory, *(change.commands for change in changes))

    apply(memory, *(change.undo for change in reversed(changes)))

    assert memory.without_our_notes() == before


@every_module
def test_taking_back_twice_does_no_harm(module):
    memory = cabled()
    before = memory.without_our_notes()
    changes = [change for _, change in plan(memory, module.example).changes]
    apply(memory, *(change.commands for change in changes))

    for change in reversed(changes):
        apply(memory, change.undo, change.undo)

    assert memory.without_our_notes() == before


@every_module
def test_how_to_take_it_back_can_be_written_down(module):
    for _, change in plan(cabled(), module.example).changes:
        assert change.undo
        assert all(undo.stdin is None for undo in change.undo)


@every_module
def test_whatever_one_question_leaves_unknown_a_mac_that_differs_never_agrees(module):
    filled, memory = tasks(module.example), cabled()
    read = memory.ask(wanted_facts(filled, MAC))

    for fact, _ in read.items():
        made = plan_mac(filled, MAC, read.merged(Facts({fact: Unknown("the line was cut")})), AROUND)
        assert made.changes or made.unknown, fact.name


@every_module
def test_it_works_as_a_check(module):
    memory = cabled()
    check = PlaybookCheck(load_playbook(as_text(module.example), "x.yaml"), AROUND.templates, BUNDLE)

    assert Verdict.FAIL in verdicts(check, memory)

    play(memory, module.example)
    assert verdicts(check, memory) <= {Verdict.OK, Verdict.WARN}


@pytest.mark.parametrize("module", [each for each in MODULES if isinstance(each, Repeatable)], ids=lambda module: module.name)
def test_a_handler_does_its_work_again_where_the_mac_agrees(module):
    memory = cabled()
    play(memory, module.example)
    [filled] = tasks(module.example)
    facts = memory.ask(wanted_facts([filled], MAC))

    changes = module.again(filled.args, MAC, facts, AROUND)

    assert changes
    apply(memory, *(change.commands for change in changes))
    assert plan(memory, module.example).is_as_wanted


@every_module
def test_looking_changes_nothing(module):
    memory = cabled()
    before = repr(memory)

    plan(memory, module.example)

    assert repr(memory) == before


@every_module
def test_a_change_says_what_was_and_what_will_be(module):
    for _, change in plan(cabled(), module.example).changes:
        assert change.what
        assert change.before
        assert change.after
        assert change.before != change.after
        assert change.commands


@every_module
def test_what_nobody_could_read_is_unknown_and_nothing_is_done(module):
    filled = tasks(module.example)
    facts = Facts({fact: Unknown("the line was cut") for fact in wanted_facts(filled, MAC)})

    made = plan_mac(filled, MAC, facts, AROUND)

    assert not made.changes
    assert made.unknown[0][1].reason == "the line was cut"


@every_module
def test_no_secret_is_in_an_argv_or_a_line(module):
    for _, change in plan(cabled(), module.example).changes:
        assert "tskey-hidden" not in change.line()
        assert not any("tskey-hidden" in word for command in change.commands for word in command.argv)


@every_module
def test_everything_it_writes_is_below_the_root(module):
    from dataclasses import replace

    mac = replace(MAC, root="/tmp/lab")
    written = [command for _, change in plan(cabled(), module.example, mac=mac).changes for command in change.commands]

    assert not [str(command) for command in written if any(word.startswith(("/opt/", "/etc/", "/var/")) for word in command.argv)]


def test_modules_are_listed_by_name():
    names = [module.name for module in MODULES]

    assert names == sorted(set(names))


def verdicts(check, memory):
    facts = memory.ask(check.facts(MAC))
    return {finding.verdict for finding in check.judge(Inventory(Path("x"), "x", (MAC,)), {MAC.name: facts})}


def apply(memory, *commands):
    for each in commands:
        results = memory.apply(each)
        assert all(result.ok for result in results), results[-1].failure()
