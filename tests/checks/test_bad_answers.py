"""No answer of a Mac makes a check lie: cut short, a row missing or new, other words, other numbers, other JSON.

Two Macs with one cable, fine or broken in one way. Each text that the first one prints is mangled at every place; then every
check that reads it says what it said of the whole text, or that it does not know. What a missing row really says is below.
"""

from dataclasses import dataclass
from fnmatch import fnmatch

import pytest

from macfleet.checks import FLEET_CHECKS
from macfleet.core.fact import Facts
from macfleet.core.finding import Verdict
from tests.checks.macs import CHECKS, Shelf
from tests.macos.mangled import everything
from tests.macos.recordings import answer

SHELVES = {
    "fine": {},
    "RDMA off": {"rdma_off": (1,)},
    "bridged": {"bridged": (1,)},
    "no addresses": {"without_addresses": (1,)},
    "a slow cable": {"slow_cables": ("1.1-2.1",)},
    "a wedged driver": {"driver_wedged": (1,)},
}
# From the best to the worst thing to hear of a check with several findings.
ORDER = (Verdict.OK, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL)

# A file of the Mac that is cut short is broken, and saying so is no lie: (fact, what was done to its text).
BROKEN_FILES = ("text of *", "runtime", "staged-weights")
# Where a row that is not there is the answer: (fact, the shelf and what was done to its text), and why.
ABSENCE_SAYS = (
    ("hardware-ports", "*'Thunderbolt' *"),  # a trade mark, the same in every language
    ("power-settings", "*: without *"),  # a setting that is not printed is one that this Mac does not offer
    ("power-settings", "*: '*"),
    ("power-settings", "*: cut *"),
    ("interfaces", "*: without 'inet *"),  # an interface without this row has no address
    ("interfaces", "*'inet' *"),
    ("interfaces", "*'netmask' *"),
    ("interfaces", "bridged: *"),  # and without its bridge it has none all the same, only the reason is another
    ("rdma-ports", "* 'GID[[]  1]:*"),  # the driver has not taken over the address: that is how it looks
    ("rdma-ports", "*: cut before line [45]"),
    ("rdma-ports", "*'GID' *"),
    ("rdma-ports", "*'ffff' *"),
    ("software-update", "*: 'Automatic*"),  # a switch that was never set is on
    ("file *", "*: 'root' in other words"),  # it belongs to another account
    ("thunderbolt", "a wedged driver: */current_speed_key*"),  # `cabling` does not know then, and rdma points at it
    ("thunderbolt", "*/services_title*"),  # the Mac at the other end has RDMA off
    ("thunderbolt", "*_items*"),  # what is connected is no Mac
    ("thunderbolt", "*SPThunderboltDataType is [[][]]"),  # a Mac without a port
    ("thunderbolt", "*without SPThunderboltDataType/0"),  # or with one less
)


@dataclass(frozen=True)
class Said:
    """A shelf, its first Mac's outputs and facts, and its second Mac's facts."""

    shelf: Shelf
    outputs: dict
    facts: dict

    @classmethod
    def of(cls, **broken):
        shelf = Shelf(count=2, cables=("1.1-2.1",), **broken)
        return cls(shelf, shelf.outputs(1, shelf.inventory.mac("studio-1")), {f"studio-{n}": shelf.facts(n) for n in (1, 2)})

    def verdicts(self, fact, mangled=None):
        """(where, check) → the worst verdict, of all checks that read this fact."""
        inventory = self.shelf.inventory
        mac = inventory.mac("studio-1")
        facts = dict(self.facts)
        if mangled is not None:
            facts["studio-1"] = facts["studio-1"].merged(Facts({fact: answer(fact, *mangled)}))
        own = {check.name: check.judge(mac, facts["studio-1"]) for check in CHECKS if fact in check.facts(mac)}
        fleet = {check.name: check.judge(inventory, facts) for check in FLEET_CHECKS if fact in check.facts(mac)}
        return {name: max((finding.verdict for finding in found), key=ORDER.index) for name, found in {**own, **fleet}.items()}


def lies_about(fact_name, shelf):
    """What some check says of a mangled answer and neither said of the whole one nor does not know."""
    said = Said.of(**SHELVES[shelf])
    fact = next(fact for fact in said.outputs if fact.name == fact_name)
    whole, texts = said.verdicts(fact), said.outputs[fact]
    lies = []
    for index, text in enumerate(texts):
        for what, mangled in everything(text) if isinstance(text, str) else ():
            if any(fnmatch(fact_name, name) and fnmatch(f"{shelf}: {what}", done) for name, done in ABSENCE_SAYS):
                continue
            now = said.verdicts(fact, (*texts[:index], mangled, *texts[index + 1 :]))
            lies += [
                f"{what}: {check} says {now[check].value}, not {whole[check].value}"
                for check in whole
                if now[check] not in (whole[check], Verdict.UNKNOWN)
            ]
    return lies


FACTS = sorted({fact.name for fact in Said.of().outputs if not any(fnmatch(fact.name, broken) for broken in BROKEN_FILES)})


@pytest.mark.parametrize("shelf", SHELVES)
@pytest.mark.parametrize("fact", FACTS)
def test_no_mangled_answer_makes_a_check_lie(fact, shelf):
    assert lies_about(fact, shelf) == []
