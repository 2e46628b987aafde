"""How a Mac is now, check by check: memory, heat, power: what it prints → verdict, and what is said."""

import pytest

from macfleet.checks.memory import Memory
from macfleet.checks.power import Power
from macfleet.checks.thermal import Thermal
from macfleet.checks.ups import Ups
from macfleet.checks.wired_memory import WiredMemory
from macfleet.macos import (
    notifyutil,
    pmset,
    sysctl,
    ups,
    vm_stat,
)
from macfleet.macos.jobs import jobs
from tests.checks.macs import GIB, PMSET, a_mac, job, judge

MAC = a_mac()


@pytest.mark.parametrize(
    ("level", "swap", "verdict"),
    [
        ("1", "0.00M", "ok"),
        ("1", "512.00M", "ok"),
        ("1", "1,5G", "warn"),
        ("2", "0.00M", "warn"),
        ("4", "0.00M", "fail"),
        ("x", "0.00M", "unknown"),
    ],
)
def test_swap_and_pressure(level, swap, verdict):
    said = f"kern.memorystatus_vm_pressure_level: {level}\nvm.swapusage: total = 20.00G  used = {swap}  free = 1.00M  (encrypted)\n"

    assert judge(Memory(), MAC, {sysctl.PRESSURE: (said,)}).verdict == verdict


@pytest.mark.parametrize(("level", "verdict"), [(0, "ok"), (1, "ok"), (2, "warn"), (3, "fail"), (4, "fail"), (7, "unknown")])
def test_heat(level, verdict):
    assert judge(Thermal(), MAC, {notifyutil.THERMAL: (f"com.apple.system.thermalpressurelevel {level}\n",)}).verdict == verdict


def memory(wired_bytes):
    rows = {"free": 0, "inactive": 0, "speculative": 0, "purgeable": 0, "occupied by compressor": 0, "wired down": wired_bytes // 16384}
    return ("Mach Virtual Memory Statistics: (page size of 16384 bytes)\n" + "".join(f"Pages {row}: {n}.\n" for row, n in rows.items()),)


@pytest.mark.parametrize(
    ("wired_bytes", "said", "verdict", "have"),
    [
        (9 * GIB, "", "ok", "9 GiB wired"),
        (100 * GIB, job("chat.worker"), "ok", "100 GiB wired, for chat"),
        (100 * GIB, job("chat.gateway"), "fail", "100 GiB wired, and no worker of macfleet runs"),
        (100 * GIB, job("chat.worker", state="not running"), "ok", "100 GiB wired, for chat"),
        (100 * GIB, "{", "unknown", None),
    ],
)
def test_wired_memory_belongs_to_a_worker_or_nobody(wired_bytes, said, verdict, have):
    said = said.replace("state = not running\n\tpid = 7", "state = running\n\tpid = 7")

    finding = judge(WiredMemory(), MAC, {vm_stat.MEMORY: memory(wired_bytes), jobs(MAC.paths): (said,)})

    assert (finding.verdict, have or finding.have) == (verdict, finding.have)


ON_AC = "Now drawing from 'AC Power'\n"
WITH_UPS = ON_AC + " -Back-UPS (id=2)\t100%; charged; 0:00 remaining present: true\n"
ON_UPS = "Now drawing from 'UPS Power'\n -Back-UPS (id=2)\t87%; discharging; 0:45 remaining present: true\n"
HALTS = "UPS settings:\n  haltlevel\ton\t20\n  haltafter\toff\t0\n  haltremain\toff\t0\n"


@pytest.mark.parametrize(
    ("sources", "thresholds", "profile", "settings", "verdict", "have"),
    [
        (ON_AC, "", "", {}, "ok", "none is connected"),
        (WITH_UPS, HALTS, "", {}, "ok", "Back-UPS, haltlevel 20"),
        (WITH_UPS, "", "", {}, "warn", "nothing shuts it down before Back-UPS is empty"),
        (ON_UPS, HALTS, "", {}, "warn", "runs on Back-UPS, 87 % left"),
        (
            WITH_UPS,
            HALTS,
            "UPS Power:\n sleep                10\n",
            {},
            "fail",
            "sleeps after 10 min on its UPS, and does not wake when the power returns",
        ),
        (WITH_UPS, HALTS, "", {"ups": {"halt_level_percent": 20}}, "ok", "Back-UPS, haltlevel 20"),
        (WITH_UPS, HALTS, "", {"ups": {"halt_level_percent": 50}}, "fail", "haltlevel 20"),
        (ON_AC, HALTS, "", {"ups": {"halt_level_percent": 20}}, "warn", "none is connected, and the inventory has thresholds for one"),
        (
            WITH_UPS,
            HALTS,
            "",
            {"power": {"power_on": "never"}},
            "warn",
            "shuts itself down on its UPS and does not start when the power returns (power_on: never)",
        ),
        ("?", HALTS, "", {}, "unknown", None),
    ],
)
def test_ups(sources, thresholds, profile, settings, verdict, have):
    said = {ups.SOURCES: (sources,), ups.UPS: (thresholds,), pmset.CUSTOM: (f"{profile}AC Power:\n sleep                0\n",)}

    finding = judge(Ups(), a_mac(**settings), said)

    assert (finding.verdict, have or finding.have) == (verdict, finding.have)


def test_a_key_that_a_mac_can_set_and_never_set_is_not_called_unsupported():
    rows = {**PMSET, "autorestart": "0"}
    rows.pop("autorestartatconnect")
    custom = ("AC Power:\n" + "".join(f" {key:<20} {value}\n" for key, value in rows.items()),)
    values = {pmset.CUSTOM: custom, pmset.CAPABILITIES: ("Capabilities for AC Power:\n autorestartatconnect\n",)}

    finding = judge(Power(), a_mac(power={"power_on": "always"}), values)

    assert (finding.verdict, finding.have) == ("warn", "autorestartatconnect was never set; everything else is as wanted")
    assert finding.hint == "`sudo pmset -a autorestartatconnect 1` on the Mac"
