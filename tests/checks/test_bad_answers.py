"""No answer of a Mac makes a check lie: cut short, a row missing or new, other words, other numbers, other JSON.

Two Macs with one cable, fine or broken in one way. Each text that the first one prints is mangled at every place; then every
check that reads it says what it said of the whole text, or that it does not know. What a missing row really says is below.
"""

import json
import plistlib
import re
from dataclasses import dataclass
from fnmatch import fnmatch

import pytest

from macfleet.checks import FLEET_CHECKS
from macfleet.core.fact import Facts
from macfleet.core.finding import Verdict
from macfleet.macos import (
    defaults,
    df,
    diskutil,
    fdesetup,
    jobs,
    last,
    launch_agents,
    launchctl,
    mdutil,
    notifyutil,
    panics,
    pmset,
    smartctl,
    socketfilterfw,
    sudo,
    sw_vers,
    sysctl,
    tmutil,
    ups,
    vm_stat,
)
from tests.checks.macs import ADMIN, CHECKS, SSD, Shelf, a_mac
from tests.macos.mangled import everything
from tests.macos.recordings import answer, recorded

PATHS = a_mac().paths
BAD_YEAR = {
    sudo.PASSWORDLESS: ((1, "", "sudo: a password is required"),),
    sw_vers.VERSION: ("ProductName:\t\tmacOS\nProductVersion:\t\t26.1\nBuildVersion:\t\t25B78\n",),
    sysctl.WIRED_LIMIT: ("hw.memsize: 137438953472\niogpu.wired_limit_mb: 0\n",),
    sysctl.PRESSURE: (
        "kern.memorystatus_vm_pressure_level: 4\nvm.swapusage: total = 49152.00M  used = 48000.00M  free = 1152.00M  (encrypted)\n",
    ),
    pmset.CUSTOM: ("AC Power:\n womp                 0\n sleep                1\n disksleep            10\n lowpowermode         1\n",),
    fdesetup.STATUS: ("FileVault is On.\n",),
    defaults.SOFTWARE_UPDATE: (plistlib.dumps(dict.fromkeys(defaults.INSTALLS_ALONE, True)).decode(),),
    df.free("/System/Volumes/Data"): (
        "Filesystem 1024-blocks Used Available Capacity iused ifree %iused Mounted on\n"
        "/dev/disk3s5 1000000000 999900000 100000 100% 1 1 0% /System/Volumes/Data\n",
    ),
    diskutil.CRYPTO_USERS: (
        f"Cryptographic user for disk3s1s1 (1 found)\n|\n+-- {ADMIN}\n    Type: Local Open Directory User\n    Volume Owner: No\n",
    ),
    launchctl.job("com.openssh.sshd"): ((113, "", 'Could not find service "com.openssh.sshd" in domain for system'),),
    ups.SOURCES: ("Now drawing from 'UPS Power'\n -UPS-1500VA (id=1234567)\t12%; discharging; 0:05 remaining present: true\n",),
    last.STARTS: ("reboot time     Thu Nov 19 11:14\nreboot time     Thu Nov 19 11:13\n",),
    panics.panics(PATHS): (
        "/Library/Logs/DiagnosticReports/panic-full-2026-11-18-092125.0002.panic\n",
        "/Library/Logs/DiagnosticReports/panic-full-2026-11-18-092125.0002.panic:panic(cpu 3): watchdog timeout\n",
    ),
    vm_stat.MEMORY: (re.sub(r"(wired down: +)\d+", r"\g<1>7000000", recorded("ops/vm_stat.mac_mini_m4_macos26.5.1.txt")),),
    jobs.jobs(PATHS): ("system/dev.macfleet.agent = {\n\tstate = spawn scheduled\n\truns = 180\n\tlast exit code = 1\n}\n",),
    notifyutil.THERMAL: ("com.apple.system.thermalpressurelevel 3\n",),
    smartctl.SSD: (
        (4, json.dumps({"smart_status": {"passed": True}, "nvme_smart_health_information_log": {**SSD, "percentage_used": 83}})),
    ),
    socketfilterfw.STATE: ("Firewall is blocking all non-essential incoming connections. (State = 2)\n",),
    launch_agents.agents(PATHS): ("/Library/LaunchAgents/me.worker.plist\n",),
    mdutil.INDEXING: ("/:\n\tIndexing enabled. \n",),
    tmutil.DESTINATIONS: (
        "====================================================\nName          : Tower\nKind          : Local\nID            : 1\n",
    ),
}
SHELVES = {
    "fine": {},
    "RDMA off": {"rdma_off": (1,)},
    "bridged": {"bridged": (1,)},
    "no addresses": {"without_addresses": (1,)},
    "a slow cable": {"slow_cables": ("1.1-2.1",)},
    "a wedged driver": {"driver_wedged": (1,)},
    "a bad year": {"said": {(1, fact): said for fact, said in BAD_YEAR.items()}},
}
# From the best to the worst thing to hear of a check with several findings.
ORDER = (Verdict.OK, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL)

# A file of the Mac that is cut short is broken, and saying so is no lie: (fact, what was done to its text).
BROKEN_FILES = ("text of *", "runtime", "staged-weights")
# Where a row that is not there is the answer: (fact, the shelf and what was done to its text), and why.
ABSENCE_SAYS = (
    ("hardware-ports", "*'Thunderbolt' *"),  # a trade mark, the same in every language
    ("power-settings", "*: without *"),  # what is not printed was never set, or is not offered: `warn`
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
    ("jobs", "*cut before line 1"),  # `find` prints nothing where there is nothing
    ("launch-agents", "*cut before line 1"),
    ("ssd", "*/passed is False"),  # not mangled: another answer
    ("ssd", "*/percentage_used is 0"),
    ("ssd", "*/media_errors is 1000*"),
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
        shelf = Shelf(count=2, cables=("1.1-2.1",), ports=2, **broken)
        outputs = {**shelf.outputs(1, shelf.inventory.mac("studio-1")), **{fact: said for (_, fact), said in shelf.said.items()}}
        return cls(shelf, outputs, {f"studio-{n}": shelf.facts(n) for n in (1, 2)})

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
    for index, output in enumerate(texts):
        status, text, *rest = (0, output) if isinstance(output, str) else output
        for what, mangled in everything(text):
            if any(fnmatch(fact_name, name) and fnmatch(f"{shelf}: {what}", done) for name, done in ABSENCE_SAYS):
                continue
            now = said.verdicts(fact, (*texts[:index], (status, mangled, *rest), *texts[index + 1 :]))
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
