"""What a module makes of a mangled answer: a plan, or that it does not know. Never a traceback, and no change because of half a text.

Each module's own example, on a Mac that differs and on one that agrees. Every text that it reads is mangled at every place.
"""

from dataclasses import replace
from fnmatch import fnmatch

import pytest

from macfleet.core.errors import MacfleetError
from macfleet.core.fact import Facts
from macfleet.modules import MODULES
from macfleet.playbook.plan import plan_mac, wanted_facts
from tests.macos.mangled import LESS, everything
from tests.modules.memory_mac import MAC, MemoryMac
from tests.modules.play import AROUND, play, tasks

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)

# What is found broken is made anew: (module, fact, what was done).
WANTED_AGAIN = (
    ("runtime", "runtime", "*"),
    ("network_service", "network-services", "*"),  # a list without an end; a service that is created twice is refused by macOS
)


def cabled():
    return MemoryMac(peers={1: "FAR-1"}, tailnet="NoDaemon")


def agreeing(module):
    memory = cabled()
    play(memory, module.example)
    return memory


def plans(module, memory, ways=everything):
    """(fact, what was done to its answer) → the plan, or the exception that no operator should see."""
    filled = tasks(module.example)
    answers = {fact: memory.run(fact.commands) for fact in wanted_facts(filled, MAC)}
    whole = Facts.understand(answers)
    for fact, results in answers.items():
        for index, result in enumerate(results):
            for what, text in ways(result.stdout):
                mangled = [*results[:index], replace(result, stdout=text), *results[index + 1 :]]
                yield (fact.name, what), _plan(filled, fact, mangled, whole)


def _plan(filled, fact, results, whole):
    try:
        return plan_mac(filled, MAC, whole.merged(Facts.understand({fact: results})), AROUND)
    except MacfleetError:
        return None
    except Exception as error:
        return error


def less(text):
    for way in LESS:
        yield from way(text)


@every_module
def test_a_mangled_answer_is_no_traceback(module):
    stumbled = {
        place: made for memory in (cabled(), agreeing(module)) for place, made in plans(module, memory) if isinstance(made, Exception)
    }

    assert stumbled == {}


@every_module
def test_half_an_answer_of_a_mac_that_agrees_changes_nothing(module):
    changed = {
        place: [change.line() for _, change in made.changes]
        for place, made in plans(module, agreeing(module), less)
        if made and made.changes
    }

    assert {place: lines for place, lines in changed.items() if not _is_wanted_again(module, *place)} == {}


def _is_wanted_again(module, fact, what):
    return any(fnmatch(module.name, name) and fnmatch(fact, asked) and fnmatch(what, done) for name, asked, done in WANTED_AGAIN)
