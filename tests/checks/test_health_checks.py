"""What a year does to a Mac, check by check: what it prints → verdict, and what is said."""

import json
import plistlib

import pytest

from macfleet.checks.firewall import Firewall
from macfleet.checks.heartbeats import Heartbeats
from macfleet.checks.homebrew import Homebrew
from macfleet.checks.jobs import Jobs
from macfleet.checks.local_network import LocalNetwork
from macfleet.checks.memory import Memory
from macfleet.checks.past import History, Look, Past, Sample, look, sample
from macfleet.checks.power import Power
from macfleet.checks.remote_login import RemoteLogin
from macfleet.checks.restarts import Restarts
from macfleet.checks.spotlight import Spotlight
from macfleet.checks.ssd import Ssd
from macfleet.checks.tailscale import Tailscale
from macfleet.checks.thermal import Thermal
from macfleet.checks.time_machine import TimeMachine
from macfleet.checks.ups import Ups
from macfleet.checks.volume_owner import VolumeOwner
from macfleet.checks.wired_memory import WiredMemory
from macfleet.macos import (
    brew,
    date,
    diskutil,
    dscl,
    last,
    launch_agents,
    launchctl,
    mdutil,
    notifyutil,
    pmset,
    smartctl,
    socketfilterfw,
    sysctl,
    tailscale,
    tmutil,
    ups,
    vm_stat,
)
from macfleet.macos import id as id_
from macfleet.macos.heartbeats import heartbeats
from macfleet.macos.jobs import jobs
from macfleet.macos.panics import panics
from tests.checks.macs import ADMIN, CHECKS, GIB, PMSET, SSD, Shelf, a_mac, judge

MAC = a_mac()
DAY_S = 86400.0
NOW = ("2026-11-20T09:27:03+0100\n",)


# --- restarts


def starts(*rows):
    return ("".join(f"{row}\n" for row in rows) + "\nwtmp begins Thu Jan  1 00:00\n",)


CUT = "reboot time    Fri Nov 20 03:12"
ALSO_CUT = "reboot time    Fri Nov 20 03:12"  # within the same minute
SHUT = "shutdown time  Thu Nov 19 11:13"
CLEAN = "reboot time    Thu Nov 19 11:14"
OLD = "reboot time    Mon Aug 24 08:17"


def restarts(rows, reports=(), look_=None, causes=""):
    past = Past(0.0, {"studio-1": History(look_)}) if look_ else Past()
    said = "".join(f"/Library/Logs/DiagnosticReports/{name}\n" for name in reports)
    return judge(Restarts(past), MAC, {last.STARTS: starts(*rows), panics(MAC.paths): (said, causes), date.CLOCK: NOW})


def test_a_start_after_a_power_cut_is_told_with_its_time():
    finding = restarts([CUT, CLEAN, SHUT])

    assert (finding.verdict, finding.have) == ("warn", "1 start without a shutdown (Fri Nov 20 03:12) in the last 7 days")
    assert "power" in finding.hint


def test_who_looks_for_the_first_time_is_told_of_a_week():
    assert restarts([CLEAN, SHUT, OLD, "reboot time    Mon Aug 24 07:40"]).verdict == "ok"


def test_what_was_seen_at_the_last_look_is_not_told_again():
    seen = Look(1.0, starts=2, newest_start="Fri Nov 20 03:12", panics=("panic-full-2026-11-20-031100.0002.panic",))

    finding = restarts([CUT, CLEAN, SHUT], ["panic-full-2026-11-20-031100.0002.panic"], seen)

    assert (finding.verdict, finding.have) == ("ok", "none")


@pytest.mark.parametrize(
    ("rows", "seen", "verdict"),
    [
        ([CUT, ALSO_CUT, CLEAN, SHUT], Look(1.0, starts=2, newest_start="Fri Nov 20 03:12"), "warn"),  # told by how many there are
        ([CUT, CLEAN, SHUT], Look(1.0, starts=9, newest_start="Thu Nov 19 11:14"), "warn"),  # the record was cut to its newest rows
        ([CUT, CLEAN, SHUT], Look(1.0, starts=9, newest_start="Sun Feb  1 11:14"), "warn"),  # and begins behind the last look
        ([CUT, CLEAN, SHUT], Look(1.0), "ok"),  # the last look could not see the record: nothing is known to be new
        ([CLEAN, SHUT, OLD], Look(1.0, starts=1, newest_start="Mon Aug 24 08:17"), "ok"),
    ],
)
def test_only_new_starts_count(rows, seen, verdict):
    assert restarts(rows, look_=seen).verdict == verdict


def test_a_panic_is_told_with_where_to_read_it():
    finding = restarts([CUT, CLEAN, SHUT], ["panic-full-2025-01-01-010101.panic", "panic-full-2026-11-20-031100.0002.panic"])

    assert finding.have == "1 panic (2026-11-20 03:11:00), 1 start without a shutdown (Fri Nov 20 03:12) in the last 7 days"
    assert "head -c 3000 /Library/Logs/DiagnosticReports/panic-full-2026-11-20-031100.0002.panic" in finding.hint


@pytest.mark.parametrize(
    ("cause", "told", "hint"),
    [
        (
            '\\"completeMemory() prepare count underflow\\" @IOGPUMemory.cpp:550',
            "completeMemory() prepare count underflow @IOGPUMemory.cpp:550",
            "lower `wired_limit`",
        ),
        (
            "watchdog timeout: no checkins from watchdogd in 94 seconds",
            "watchdog timeout: no checkins from watchdogd in 94 seconds",
            "macOS could not breathe",
        ),
        ("Kernel data abort.", "Kernel data abort.", "`macfleet exec --mac studio-1 -- sudo head"),
    ],
)
def test_a_panic_is_named_by_its_cause_where_the_report_says_it(cause, told, hint):
    name = "panic-full-2026-11-20-031100.0002.panic"

    finding = restarts([CLEAN, SHUT], [name], causes=f"/Library/Logs/DiagnosticReports/{name}:panic(cpu 4 caller 0x1): {cause}\n")

    assert finding.have == f"1 panic (2026-11-20 03:11:00: {told}) in the last 7 days"
    assert finding.hint.startswith(hint)


# --- SSD


def smart(passed=True, status=4, **changes):
    return ((status, json.dumps({"smart_status": {"passed": passed}, "nvme_smart_health_information_log": {**SSD, **changes}})),)


def ssd(said, *samples, now_days=100.0):
    past = Past(now_days * DAY_S, {"studio-1": History(samples=samples)})
    return judge(Ssd(past), MAC, {smartctl.SSD: said})


@pytest.mark.parametrize(
    ("said", "verdict", "have"),
    [
        (smart(), "ok", "2 % used, 51.2 TB written"),
        (smart(status=0), "ok", "2 % used, 51.2 TB written"),
        (smart(critical_warning=1, available_spare=98), "ok", "2 % used, 51.2 TB written"),
        (smart(critical_warning=4), "fail", "the SSD itself reports trouble (critical warning 4); 2 % used, 51.2 TB written"),
        (smart(passed=False), "fail", "the SSD itself reports trouble (critical warning 0); 2 % used, 51.2 TB written"),
        (smart(percentage_used=80), "fail", "80 % used, 51.2 TB written"),
        (smart(media_errors=3), "warn", "3 media errors; 2 % used, 51.2 TB written"),
        (((127, ""),), "warn", "not known: smartmontools is not installed"),
        (((2, "{}"),), "unknown", "`smartctl -a -j disk0` ended with 2: {}"),
    ],
)
def test_ssd(said, verdict, have):
    finding = ssd(said)

    assert (finding.verdict, finding.have) == (verdict, have)


def test_a_virtual_machine_has_no_ssd_to_wear():
    hardware = "hw.model: VirtualMac2,1\nhw.memsize: 8589934592\nmachdep.cpu.brand_string: Apple M4 (Virtual)\nhw.optional.arm64: 1\n"

    finding = judge(Ssd(), MAC, {smartctl.SSD: ((1, "{}"),), sysctl.IDENTITY: (hardware,)})

    assert (finding.verdict, finding.have) == ("ok", "not looked at: a virtual machine has no SSD of its own")


@pytest.mark.parametrize(
    ("samples", "verdict", "told"),
    [
        # 2 % are 51.2 TB, so 78 % are 1996.8 TB more: 51.2 TB in 100 days is 3900 days, 50 TB in 10 days is 399.4.
        ([Sample(0.0, 0, 0)], "ok", "; 80 % in 10.7 years at this rate"),
        ([Sample(90 * DAY_S, 1_200_000_000_000, 2)], "ok", "; 80 % in 1.1 years at this rate"),
        ([Sample(95 * DAY_S, 1_200_000_000_000, 2)], "warn", "; 80 % in 200 days at this rate"),
        ([Sample(0.0, 51_100_000_000_000, 2)], "ok", "; 80 % in more than 20 years at this rate"),
        ([Sample(99.5 * DAY_S, 0, 0)], "ok", ""),  # half a day is no rate
        ([Sample(0.0, 90_000_000_000_000, 3)], "ok", ""),  # another disk
    ],
)
def test_the_wear_is_projected_at_the_rate_that_was_observed(samples, verdict, told):
    finding = ssd(smart(), *samples)

    assert (finding.verdict, finding.have) == (verdict, f"2 % used, 51.2 TB written{told}")


# --- memory and heat


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


def job(name, **rows):
    rows = {"state": "running", "pid": "7", "runs": "1", "last exit code": "(never exited)", **rows}
    return f"system/dev.macfleet.{name} = {{\n" + "".join(f"\t{key.replace('_', ' ')} = {value}\n" for key, value in rows.items()) + "}\n"


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


# --- jobs


def judge_jobs(said, stderr="", past=None, disabled="", **settings):
    values = {
        jobs(MAC.paths): ((0, said, stderr),),
        launchctl.DISABLED: (f"disabled services = {{\n{disabled}}}\n",),
        pmset.CUSTOM: ("AC Power:\n" + "".join(f" {key:<20} {value}\n" for key, value in {**PMSET, **settings}.items()),),
    }
    return judge(Jobs(past or Past()), MAC, values)


DEAD = {"state": "not running", "pid": "(none)"}


@pytest.mark.parametrize(
    ("said", "verdict", "have"),
    [
        ("", "ok", "macfleet has no job here"),
        (job("agent") + job("chat.worker", exit_timeout="120"), "ok", "agent and chat.worker"),
        (job("agent", **{**DEAD, "last exit code": "0"}), "ok", "agent"),
        (job("agent", **{**DEAD, "last exit code": "78: EX_CONFIG"}), "fail", "agent does not run (ended with 78)"),
        (
            job("chat.worker", state="spawn scheduled", pid="(none)", runs="233", **{"last terminating signal": "Killed: 9"}),
            "fail",
            "chat.worker crashes again and again (233 starts, ended by Killed: 9)",
        ),
        (
            job("chat.worker", state="spawn scheduled", pid="(none)", **{"last terminating signal": "Killed: 9"}),
            "fail",
            "chat.worker ended by Killed: 9 and waits to be started again",
        ),
        (
            job("chat.worker", **{**DEAD, "last exit code": "0", "properties": "keepalive | inferred program"}),
            "fail",
            "chat.worker does not run (ended with 0)",
        ),
        (
            job("agent", **{**DEAD, "runs": "0", "pended nondemand spawn": "speculative"}),
            "fail",
            "launchd holds back agent (speculative)",
        ),
        (job("chat.worker", exit_timeout="5"), "warn", "chat.worker gets less than 60 s to end before SIGKILL"),
    ],
)
def test_jobs(said, verdict, have):
    finding = judge_jobs(said)

    assert (finding.verdict, finding.have) == (verdict, have)


@pytest.mark.parametrize(
    ("name", "rows", "hint"),
    [
        ("chat.worker", {}, "`macfleet logs chat` says why"),
        ("agent", {}, "`macfleet exec --mac studio-1 -- tail /var/log/macfleet/agent.log` says why"),
        ("wired-limit", {"stdout path": "/var/log/x.log"}, "`macfleet exec --mac studio-1 -- tail /var/log/x.log` says why"),
    ],
)
def test_a_job_that_does_not_run_is_told_with_its_log(name, rows, hint):
    assert judge_jobs(job(name, **{**DEAD, "last exit code": "1", **rows})).hint == hint


def test_a_job_that_low_power_mode_holds_back_is_the_finding_of_power():
    said = job("agent", **{**DEAD, "runs": "0", "pended nondemand spawn": "inefficient"})

    finding = judge_jobs(said, lowpowermode="1")

    assert (finding.verdict, finding.have) == ("ok", "launchd holds back agent (inefficient), as Low Power Mode makes it do (see power)")


def test_a_job_that_runs_and_was_started_often_since_the_last_look_is_restless():
    past = Past(2.0, {"studio-1": History(Look(1.0, runs={"dev.macfleet.agent": 4}))})

    assert judge_jobs(job("agent", runs="6"), past=past).verdict == "ok"
    assert judge_jobs(job("agent", runs="9"), past=past).have == "agent was started 5 times since the last look"


MISSING = 'Could not find service "dev.macfleet.agent" in domain for system\n'


@pytest.mark.parametrize(
    ("stderr", "disabled", "have"),
    [
        (MISSING, "", "launchd does not know agent, whose plist is there"),
        (MISSING, '\t"dev.macfleet.agent" => disabled\n', "agent is disabled, which lasts over restarts"),
        (MISSING.replace("agent", "wired-limit"), "", "wired-limit"),  # that one is the question of wired-limit-at-boot
    ],
)
def test_a_plist_that_launchd_has_not_loaded(stderr, disabled, have):
    assert judge_jobs("", stderr, disabled=disabled).have == have


# --- what blocks, reads and copies


@pytest.mark.parametrize(
    ("state", "rule", "verdict"),
    [
        (0, "The application is not part of the firewall \n", "ok"),
        (1, "Incoming connection to /x is permitted \n", "ok"),
        (1, "Incoming connection to /x is blocked \n", "fail"),
        (1, "The application is not part of the firewall \n", "fail"),
        (1, "?", "unknown"),
        (2, "Incoming connection to /x is permitted \n", "fail"),
    ],
)
def test_firewall(state, rule, verdict):
    said = {socketfilterfw.STATE: (f"Firewall (State = {state})\n",), socketfilterfw.rule(MAC.paths.python): (rule,)}

    assert judge(Firewall(), MAC, said).verdict == verdict


def exempt(*networks):
    return (plistlib.dumps({"AllowedEthernetLocalNetworkAddresses": list(networks)}).decode(),)


@pytest.mark.parametrize(
    ("agents", "exemptions", "verdict"),
    [
        ("", exempt(), "ok"),
        ("/Library/LaunchAgents/me.plist\n", exempt(), "fail"),
        ("/Library/LaunchAgents/me.plist\n", exempt("192.168.0.0/16", "nonsense"), "fail"),
        ("/Library/LaunchAgents/me.plist\n", exempt("10.0.0.0/8"), "ok"),
        ("/Library/LaunchAgents/me.plist\n", ((1, "", "sudo: a password is required"),), "unknown"),
        ("", ((1, "", "sudo: a password is required"),), "ok"),
    ],
)
def test_an_agent_is_kept_from_the_local_network(agents, exemptions, verdict):
    said = {launch_agents.agents(MAC.paths): ((1, agents),), launch_agents.EXEMPTIONS: exemptions}

    assert judge(LocalNetwork(), MAC, said).verdict == verdict


@pytest.mark.parametrize(
    ("said", "wanted", "verdict"), [("enabled", False, "warn"), ("enabled", True, "ok"), ("disabled", False, "ok"), ("?", False, "unknown")]
)
def test_spotlight(said, wanted, verdict):
    assert judge(Spotlight(), a_mac(spotlight=wanted), {mdutil.INDEXING: (f"/:\n\tIndexing {said}. \n",)}).verdict == verdict


@pytest.mark.parametrize(
    ("destinations", "excluded", "verdict"),
    [
        ("tmutil: No destinations configured.\n", "[Included]    /x\n", "ok"),
        ("Name          : Tower\n", "[Excluded]    /x\n", "ok"),
        ("Name          : Tower\n", "[Included]    /x\n", "warn"),
        ("", "[Included]    /x\n", "unknown"),
    ],
)
def test_time_machine(destinations, excluded, verdict):
    said = {tmutil.DESTINATIONS: (destinations,), tmutil.excludes_models(MAC.paths): (excluded,)}

    assert judge(TimeMachine(), MAC, said).verdict == verdict


# --- the way in


@pytest.mark.parametrize(
    ("loaded", "disabled", "verdict"),
    [
        ("system/com.openssh.sshd = {\n\tstate = not running\n}\n", "", "ok"),
        ("system/com.openssh.sshd = {\n\tstate = not running\n}\n", '\t"com.openssh.sshd" => disabled\n', "fail"),
        ((113, "", "Could not find service"), "", "fail"),
        ((1, "", "?"), "", "unknown"),
    ],
)
def test_remote_login_after_the_next_start(loaded, disabled, verdict):
    said = {launchctl.job("com.openssh.sshd"): (loaded,), launchctl.DISABLED: (f"disabled services = {{\n{disabled}}}\n",)}

    assert judge(RemoteLogin(), MAC, said).verdict == verdict


def owners(uuid, is_owner="Yes"):
    return (
        f"Cryptographic user for disk3s1s1 (1 found)\n|\n+-- {uuid}\n    Type: Local Open Directory User\n    Volume Owner: {is_owner}\n",
    )


@pytest.mark.parametrize(
    ("user", "said", "verdict"),
    [
        ("admin", owners(ADMIN), "ok"),
        ("admin", owners(ADMIN, "No"), "warn"),
        ("admin", owners("EBC6C064-0000-11AA-AA11-00306543ECAC"), "warn"),
        ("admin", ("No cryptographic users for disk3s1s1\n",), "warn"),
        ("guest", owners(ADMIN), "unknown"),
    ],
)
def test_the_volume_owner(user, said, verdict):
    values = {id_.USER: (user,), dscl.USERS: (f"admin   {ADMIN}\n",), diskutil.CRYPTO_USERS: said}

    assert judge(VolumeOwner(), MAC, values).verdict == verdict


@pytest.mark.parametrize(
    ("said", "verdict", "have"),
    [
        ("/opt/homebrew\n", "ok", "in /opt/homebrew"),
        ((127, "", "sh: brew: command not found"), "fail", "not installed"),
        ((1, "", "Error: broken"), "unknown", "`brew --prefix` ended with 1: Error: broken"),
    ],
)
def test_homebrew(said, verdict, have):
    finding = judge(Homebrew(), MAC, {brew.PREFIX: (said,)})

    assert (finding.verdict, finding.have) == (verdict, have)


@pytest.mark.parametrize(
    ("expiry", "verdict"),
    [
        ("2027-05-01T10:00:00Z", "ok"),
        ("2026-12-01T10:00:00.123456789Z", "warn"),
        ("2026-11-20T08:00:00Z", "warn"),
        ("soon", "ok"),
    ],
)
def test_a_key_of_the_tailnet_that_expires_within_a_month(expiry, verdict):
    said = json.dumps({"BackendState": "Running", "Self": {"Online": True, "KeyExpiry": expiry, "TailscaleIPs": ["100.64.0.2"]}})

    assert judge(Tailscale(), a_mac(tailscale={"enabled": True}), {tailscale.STATUS: (said,), date.CLOCK: NOW}).verdict == verdict


# --- power


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


# --- the past


def test_a_look_keeps_what_the_next_one_compares_with():
    shelf = Shelf(count=1)
    mac, facts = shelf.inventory.macs[0], shelf.facts(1)

    assert look(mac, facts, 5.0) == Look(5.0, 1, "Thu Nov 19 11:14", (), {"dev.macfleet.wired-limit": 1})
    assert sample(facts, 5.0) == Sample(5.0, 51_200_000_000_000, 2)


def test_checks_with_a_reading_that_moves_are_marked():
    assert {check.name for check in CHECKS if getattr(check, "measures", False)} == {
        "disk-space",
        "memory",
        "wired-memory",
        "thermal",
        "ssd",
    }


# --- heartbeats


def judge_heartbeats(age_s, job_said, pid=812):
    beat = f'/opt/macfleet/services/chat/heartbeat.json\t{{"pid": {pid}, "time": {1795000000 - age_s}, "busy_since": null, "epoch": 1}}'
    values = {heartbeats(MAC.paths): (f"1795000000\n{beat}\n",), jobs(MAC.paths): (job_said,)}
    return judge(Heartbeats(), MAC, values)


@pytest.mark.parametrize(
    ("age_s", "said", "pid", "verdict", "have"),
    [
        (0.4, job("chat.worker", pid="812"), 812, "ok", "chat.worker alive"),
        (37, job("chat.worker", pid="812"), 812, "fail", "chat.worker has been silent for 37 s, though launchd says it runs"),
        (37, job("chat.worker", pid="990"), 812, "ok", "no worker and no gateway runs here"),  # started anew, loading
        (37, job("chat.worker", **DEAD), 812, "ok", "no worker and no gateway runs here"),
        (37, "", 812, "ok", "no worker and no gateway runs here"),  # stopped long ago
    ],
)
def test_a_job_that_runs_and_does_nothing_is_named(age_s, said, pid, verdict, have):
    finding = judge_heartbeats(age_s, said, pid)

    assert (finding.verdict, finding.have) == (verdict, have)


def test_who_would_have_ended_a_silent_job_is_named_where_it_is_missing():
    with_agent = judge_heartbeats(37, job("chat.worker", pid="812") + job("agent"))
    without = judge_heartbeats(37, job("chat.worker", pid="812"))

    assert "look again in a minute" in with_agent.hint
    assert "agent, which would end it, does not run" in without.hint
