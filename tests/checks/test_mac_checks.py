"""Each check of one Mac as a table: what the Mac prints → verdict, and what is said."""

import json
import plistlib
from dataclasses import replace

import pytest

from macfleet import __version__
from macfleet.checks.automatic_updates import AutomaticUpdates
from macfleet.checks.disk_space import DiskSpace
from macfleet.checks.filevault import FileVault
from macfleet.checks.hardware import Hardware
from macfleet.checks.macos_version import MacosVersion
from macfleet.checks.power import Power
from macfleet.checks.runtime import Runtime
from macfleet.checks.sudo import Sudo
from macfleet.checks.tailscale import Tailscale
from macfleet.checks.thunderbolt_bridge import ThunderboltBridge
from macfleet.checks.wired_limit import WiredLimit
from macfleet.checks.wired_limit_at_boot import LABEL, WiredLimitAtBoot
from macfleet.macos import (
    defaults,
    df,
    fdesetup,
    files,
    ifconfig,
    launchctl,
    networksetup,
    plutil,
    pmset,
    sudo,
    sw_vers,
    sysctl,
    tailscale,
    uname,
)
from macfleet.macos.runtime import runtime, starters
from tests.checks.macs import BUNDLE, GIB, PMSET, a_mac, installed, judge
from tests.macos.recordings import recorded


@pytest.mark.parametrize(("said", "verdict"), [((0, ""), "ok"), ((1, "", "sudo: a password is required"), "fail"), ((127, ""), "unknown")])
def test_sudo(said, verdict):
    finding = judge(Sudo(), a_mac(), {sudo.PASSWORDLESS: (said,)})

    assert finding.verdict == verdict


def test_sudo_for_some_commands_only_is_told_from_sudo_that_always_asks():
    asks = (1, "", "sudo: a password is required")

    some, none = (judge(Sudo(), a_mac(), {sudo.PASSWORDLESS: (asks,), sudo.PASSWORDLESS_FOR_SOME: (said,)}) for said in ("", asks))

    assert (some.verdict, some.have) == ("fail", "sudo asks for a password for most commands: its rule names only some programs")
    assert (none.verdict, none.have) == ("fail", "sudo asks for a password")


def test_sudo_that_asks_says_what_to_write_where():
    finding = judge(Sudo(), a_mac(), {sudo.PASSWORDLESS: ((1, ""),)})

    assert finding.hint.startswith("`macfleet enroll` writes a checked rule")
    assert finding.hint.endswith('echo "admin ALL=(ALL) NOPASSWD: ALL" | sudo tee /etc/sudoers.d/macfleet')
    assert "/etc/sudoers.d/macfleet" in finding.hint


@pytest.mark.parametrize(
    ("wanted", "verdict", "want"),
    [
        ({}, "ok", "macOS 26.2 or later"),
        ({"minimum": "26.5"}, "ok", "macOS 26.5 or later"),
        ({"minimum": "26.5.1"}, "fail", "macOS 26.5.1 or later"),
        ({"build": "25F71"}, "ok", "build 25F71"),
        ({"build": "25G83"}, "fail", "build 25G83"),
    ],
)
def test_macos_version(wanted, verdict, want):
    finding = judge(MacosVersion(), a_mac(macos=wanted), {sw_vers.VERSION: (recorded("ops/sw_vers.26.5.txt"),)})

    assert (finding.verdict, finding.have, finding.want) == (verdict, "macOS 26.5 (25F71)", want)


def identity(hardware="Mac16,9", memory_bytes=128 * GIB, chip="Apple M4 Max", arm64="hw.optional.arm64: 1\n"):
    return (f"hw.model: {hardware}\nhw.memsize: {memory_bytes}\nmachdep.cpu.brand_string: {chip}\n{arm64}",)


@pytest.mark.parametrize(
    ("kernel", "said", "verdict", "have"),
    [
        ("Darwin", identity(), "ok", "Mac16,9, 128 GiB, Apple M4 Max"),
        ("Darwin", identity(memory_bytes=64 * GIB), "fail", "Mac16,9, 64 GiB, Apple M4 Max"),
        ("Darwin", identity("Mac15,14"), "fail", "Mac15,14, 128 GiB, Apple M4 Max"),
        ("Darwin", identity("VirtualMac2,1", 8 * GIB), "fail", "VirtualMac2,1, 8 GiB, Apple M4 Max"),
        ("Darwin", identity("MacPro7,1", chip="Intel(R) Xeon(R) W", arm64=""), "fail", "MacPro7,1, 128 GiB, Intel(R) Xeon(R) W"),
        ("Darwin", identity(arm64=""), "ok", "Mac16,9, 128 GiB, Apple M4 Max"),  # cut short: not a word about Intel
        ("Linux", ((255, ""),), "fail", "a Linux machine"),
        ("Darwin", ("hw.model: Mac16,9\n",), "unknown", "`sysctl` answered in a form macfleet does not know: no hw.memsize line"),
    ],
)
def test_hardware(kernel, said, verdict, have):
    finding = judge(Hardware(), a_mac(), {uname.KERNEL: (kernel,), sysctl.IDENTITY: said})

    assert (finding.verdict, finding.have, finding.want) == (verdict, have, "Mac16,9, 128 GiB")


PORTS = (recorded("thunderbolt/networksetup_listallhardwareports.mbp_bridge_present.sanitised.txt"),)
NO_MEMBERS = recorded("thunderbolt/ifconfig_bridge0.down_no_members.edited.txt")
DOWN_WITH_MEMBER = NO_MEMBERS + "\tmember: en2 flags=3<LEARNING,DISCOVER>\n"
SHARING = "bridge100: flags=8863<UP> mtu 1500\n\tmember: en6 flags=3<LEARNING,DISCOVER>\n"
STORED = recorded("thunderbolt/plutil_bridge_prefs.mbp.sanitised.json")


@pytest.mark.parametrize(
    ("now", "stored", "verdict", "have"),
    [
        (NO_MEMBERS, "{}", "ok", "no Thunderbolt port in a bridge"),
        (NO_MEMBERS, STORED, "fail", "en1, en6 and en2 in bridge0 at boot"),
        (DOWN_WITH_MEMBER, "{}", "fail", "en2 in bridge0 now"),
        (DOWN_WITH_MEMBER, STORED, "fail", "en2 in bridge0 now; en1, en6 and en2 in bridge0 at boot"),
        (SHARING, "{}", "fail", "en6 in bridge100 now"),
        (NO_MEMBERS, '{"bridge1":{"Interfaces":["en10"]}}', "ok", "no Thunderbolt port in a bridge"),
        (NO_MEMBERS, '{"bridge0', "unknown", None),
    ],
)
def test_thunderbolt_bridge(now, stored, verdict, have):
    said = {networksetup.HARDWARE_PORTS: PORTS, ifconfig.INTERFACES: (now,), plutil.BRIDGES: (stored, "OK")}

    finding = judge(ThunderboltBridge(), a_mac(), said)

    assert (finding.verdict, have or finding.have) == (verdict, finding.have)


def test_internet_sharing_has_another_cure_than_the_bridge():
    said = {networksetup.HARDWARE_PORTS: PORTS, ifconfig.INTERFACES: (SHARING,), plutil.BRIDGES: ("{}", "OK")}

    assert "switch Internet Sharing off" in judge(ThunderboltBridge(), a_mac(), said).hint


def pmset_text(**changes):
    rows = {**PMSET, **changes}
    return ("AC Power:\n" + "".join(f" {key:<20} {value}\n" for key, value in rows.items() if value is not None),)


@pytest.mark.parametrize(
    ("said", "wanted", "verdict", "have"),
    [
        (pmset_text(), {}, "ok", "as wanted"),
        (pmset_text(sleep="1"), {}, "fail", "sleep 1"),
        (pmset_text(sleep="0 (sleep prevented by caffeinate)"), {}, "ok", "as wanted"),
        (pmset_text(autorestart="0"), {}, "fail", "autorestart 0"),
        (pmset_text(), {"power_on": "always"}, "fail", "autorestart 1, autorestartatconnect 0"),
        (pmset_text(autorestart="0", autorestartatconnect="1"), {"power_on": "always"}, "ok", "as wanted"),
        (pmset_text(autorestartatconnect=None), {}, "ok", "as wanted"),
        (
            pmset_text(autorestart="0", autorestartatconnect=None),
            {"power_on": "always"},
            "warn",
            "this Mac does not offer autorestartatconnect; everything else is as wanted",
        ),
        (
            pmset_text(womp=None, autorestart=None, autorestartatconnect=None, lowpowermode=None),
            {},
            "warn",
            "this Mac does not offer womp and autorestart; everything else is as wanted",
        ),
        ((recorded("ops/pmset_g.macos15.6.1_vm.txt"),), {}, "fail", "sleep 1"),
        ((recorded("ops/pmset_g_custom.mac_mini.macos26.txt"),), {"display_sleep_min": 0}, "fail", "disksleep 10, powernap 1"),
        (("AC Power:\n",), {}, "unknown", None),
    ],
)
def test_power(said, wanted, verdict, have):
    finding = judge(Power(), a_mac(power=wanted), {pmset.CUSTOM: said})

    assert (finding.verdict, have or finding.have) == (verdict, finding.have)


def limit(value):
    return (f"hw.memsize: {128 * GIB}\niogpu.wired_limit_mb: {value}\n",)


VM_WITHOUT = ((1, f"hw.memsize: {8 * GIB}\n", "sysctl: unknown oid 'iogpu.wired_limit_mb'"),)


@pytest.mark.parametrize(
    ("said", "wanted", "verdict", "have"),
    [
        (limit(114688), "112 GiB", "ok", "114688 (112 GiB)"),
        (limit(0), "112 GiB", "fail", "0 (left to macOS)"),
        (limit(65536), "112 GiB", "fail", "65536 (64 GiB)"),
        (limit(0), "auto", "ok", "0 (left to macOS)"),
        (limit(65536), "auto", "warn", "65536 (64 GiB), set by somebody else"),
        (VM_WITHOUT, "112 GiB", "warn", "this Mac has no iogpu.wired_limit_mb (a virtual machine, or macOS before 14)"),
        (VM_WITHOUT, "auto", "ok", "this Mac has no iogpu.wired_limit_mb (a virtual machine, or macOS before 14)"),
        (limit("half"), "112 GiB", "unknown", None),
    ],
)
def test_wired_limit(said, wanted, verdict, have):
    finding = judge(WiredLimit(), a_mac(wired_limit=wanted), {sysctl.WIRED_LIMIT: said})

    assert (finding.verdict, have or finding.have) == (verdict, finding.have)


def daemon(mib=114688, **keys):
    job = {"Label": LABEL, "ProgramArguments": ["/usr/sbin/sysctl", f"iogpu.wired_limit_mb={mib}"], "RunAtLoad": True, **keys}
    return (plistlib.dumps(job).decode(),)


NO_FILE = ((1, "", "cat: x: No such file or directory"),)
LOADED = (f"system/{LABEL} = {{\n\tstate = not running\n}}\n",)
NOT_LOADED = ((113, recorded("ops/launchctl_print_system.missing.txt")),)


ROOTS = ("644 root wheel 512\n", (1, ""))
ENABLED = "disabled services = {\n}\n"
DISABLED = f'disabled services = {{\n\t"{LABEL}" => disabled\n}}\n'


LIMIT = "hw.memsize: 137438953472\niogpu.wired_limit_mb: 114688\n"
NO_LIMIT = (1, "hw.memsize: 137438953472\n", "sysctl: unknown oid 'iogpu.wired_limit_mb'")


def at_boot(plist=None, state=ROOTS, job=LOADED, disabled=ENABLED, wanted="112 GiB", limit=LIMIT):
    mac = a_mac(wired_limit=wanted)
    path = mac.paths.plist(LABEL)
    said = {
        sysctl.WIRED_LIMIT: (limit,),
        files.file_text(path): plist or daemon(),
        files.file_state(path): state,
        launchctl.job(LABEL): job,
        launchctl.DISABLED: (disabled,),
    }
    return judge(WiredLimitAtBoot(), mac, said)


ABSENT = {"plist": NO_FILE, "state": ((1, "", "stat: x: No such file or directory"), (1, "")), "job": NOT_LOADED}


@pytest.mark.parametrize(
    ("said", "verdict", "have"),
    [
        ({}, "ok", f"{LABEL} sets 114688 (112 GiB)"),
        ({"job": NOT_LOADED}, "fail", f"{LABEL} is written, but launchd does not know it"),
        (ABSENT, "fail", "nothing sets it at boot"),
        (
            {**ABSENT, "limit": NO_LIMIT},
            "ok",
            "not looked at: this Mac has no iogpu.wired_limit_mb (a virtual machine, or macOS before 14)",
        ),
        ({"plist": daemon(65536)}, "fail", f"{LABEL} sets 65536 (64 GiB)"),
        ({"plist": daemon(RunAtLoad=False)}, "fail", f"{LABEL} does not set it at load"),
        ({"plist": ("<plist",)}, "fail", None),
        ({"state": ("644 admin staff 512\n", (1, ""))}, "fail", f"launchd refuses {LABEL}: its file belongs to admin with mode 644"),
        ({"state": ("666 root wheel 512\n", (1, ""))}, "fail", f"launchd refuses {LABEL}: its file belongs to root with mode 666"),
        ({"disabled": DISABLED}, "fail", f"{LABEL} is disabled in launchd, which lasts over restarts"),
        ({**ABSENT, "wanted": "auto"}, "ok", "left to macOS"),
        ({"wanted": "auto"}, "warn", f"{LABEL} still sets a limit at boot"),
        ({"plist": ((1, "", "cat: x: Permission denied"),)}, "unknown", None),
        ({"job": ((1, "", "Operation not permitted"),)}, "unknown", None),
        ({"disabled": ""}, "unknown", None),
    ],
)
def test_wired_limit_at_boot(said, verdict, have):
    finding = at_boot(**said)

    assert (finding.verdict, have or finding.have) == (verdict, finding.have)


@pytest.mark.parametrize(
    ("said", "wanted", "verdict"),
    [
        ("FileVault is Off.", "off", "ok"),
        ("FileVault is On.", "off", "fail"),
        ("FileVault is On.", "any", "ok"),
        ("FileVault is Off.\nEncryption in progress: Percent completed = 7", "on", "fail"),
        ("FileVault is", "any", "unknown"),
    ],
)
def test_filevault(said, wanted, verdict):
    assert judge(FileVault(), a_mac(filevault=wanted), {fdesetup.STATUS: (said,)}).verdict == verdict


def preferences(**values):
    return (plistlib.dumps(values).decode(),)


@pytest.mark.parametrize(
    ("said", "wanted", "verdict", "have"),
    [
        (preferences(AutomaticallyInstallMacOSUpdates=False, AutomaticDownload=False), False, "ok", "off"),
        (preferences(AutomaticallyInstallMacOSUpdates=0, AutomaticDownload=0), False, "ok", "off"),
        (preferences(AutomaticallyInstallMacOSUpdates=False), False, "fail", "AutomaticDownload on (never set)"),
        (preferences(AutomaticallyInstallMacOSUpdates=True, AutomaticDownload=False), False, "fail", "AutomaticallyInstallMacOSUpdates on"),
        (((1, "", "does not exist"),), False, "fail", "AutomaticallyInstallMacOSUpdates on (never set), AutomaticDownload on (never set)"),
        (preferences(), True, "ok", "on"),
        (("garbage",), False, "unknown", None),
    ],
)
def test_automatic_updates(said, wanted, verdict, have):
    finding = judge(AutomaticUpdates(), a_mac(automatic_updates=wanted), {defaults.SOFTWARE_UPDATE: said})

    assert (finding.verdict, have or finding.have) == (verdict, finding.have)


def tailnet(state="Running", **own):
    return (json.dumps({"BackendState": state, "Self": {"Online": True, "TailscaleIPs": ["100.64.0.2"], **own}}),)


@pytest.mark.parametrize(
    ("said", "verdict", "have"),
    [
        (tailnet(), "ok", "running, online as 100.64.0.2"),
        (tailnet(KeyExpiry="2027-03-01T00:00:00Z"), "ok", "running, online as 100.64.0.2, its key expires 2027-03-01T00:00:00Z"),
        (tailnet(Online=False), "warn", "running, not online as 100.64.0.2"),
        (tailnet(Expired=True), "fail", "running, online as 100.64.0.2"),
        (tailnet("NeedsLogin"), "fail", "NeedsLogin"),
        (((127, ""),), "fail", "not installed"),
        (((1, "", "failed to connect to local Tailscale service"),), "fail", "installed, but its daemon does not answer"),
        (("{",), "unknown", None),
    ],
)
def test_tailscale(said, verdict, have):
    finding = judge(Tailscale(), a_mac(tailscale={"enabled": True}), {tailscale.STATUS: said})

    assert (finding.verdict, have or finding.have) == (verdict, finding.have)


def test_a_tailnet_that_nobody_wants_is_not_asked_for():
    assert Tailscale().facts(a_mac()) == ()
    assert judge(Tailscale(), a_mac(), {}).verdict == "ok"


def room(free_gib):
    header = "Filesystem 1024-blocks Used Available Capacity iused ifree %iused Mounted on\n"
    return (f"{header}/dev/disk3s5 {1000 * 1024**2} 1 {free_gib * 1024**2} 44% 1 1 0% /System/Volumes/Data\n",)


@pytest.mark.parametrize(("free_gib", "verdict"), [(50, "ok"), (49, "fail"), (0, "fail")])
def test_disk_space(free_gib, verdict):
    finding = judge(DiskSpace(), a_mac(), {df.free("/System/Volumes/Data"): room(free_gib)})

    assert (finding.verdict, finding.want) == (verdict, "50 GiB free")


def test_a_disk_that_only_df_h_describes_is_unknown():
    finding = judge(DiskSpace(), a_mac(), {df.free("/System/Volumes/Data"): (recorded("ops/vm_df_h.tahoe_base.txt"),)})

    assert finding.verdict == "unknown"


HERE = BUNDLE.runtime("3.12")
OTHER_BUILD = replace(BUNDLE, wheel=b"the same version, from older sources")
OTHER_PACKAGES = replace(BUNDLE, lock=b"mlx==2\n")


@pytest.mark.parametrize(
    ("said", "verdict", "have"),
    [
        ((installed(), ""), "ok", str(HERE)),
        ((installed(OTHER_BUILD), ""), "fail", f"{OTHER_BUILD.runtime('3.12')}: another build of macfleet"),
        ((installed(OTHER_PACKAGES), ""), "fail", f"{OTHER_PACKAGES.runtime('3.12')}: another set of packages"),
        ((installed(python="3.11"), ""), "fail", f"{BUNDLE.runtime('3.11')}: another Python (3.11 instead of 3.12)"),
        (
            (installed(macfleet="0.0.9"), ""),
            "fail",
            f"{HERE.id} (Python 3.12, macfleet 0.0.9): another macfleet (0.0.9 instead of {__version__})",
        ),
        ((*NO_FILE, ""), "fail", "not installed"),
        ((installed(lock_sha256=None), ""), "fail", "broken: `runtime.json` answered in a form macfleet does not know: no lock_sha256"),
        ((installed(), (126, "", "bad interpreter")), "fail", None),
        (((1, "", "Permission denied"), ""), "unknown", None),
    ],
)
def test_runtime(said, verdict, have):
    finding = judge(Runtime(BUNDLE), a_mac(), {runtime(a_mac().paths): said, starters(a_mac().paths): ("",)})

    assert (finding.verdict, have or finding.have) == (verdict, finding.have)
    assert finding.want == str(HERE)


def test_a_runtime_of_another_build_is_provisions_work_and_running_services_are_not_touched_by_it():
    finding = judge(Runtime(BUNDLE), a_mac(), {runtime(a_mac().paths): (installed(OTHER_BUILD), "")})

    assert "`macfleet provision`" in finding.hint
    assert "until it is deployed again" in finding.hint


def test_a_service_that_was_deployed_with_another_runtime_is_a_warning():
    older = plistlib.dumps({"Label": "dev.macfleet.chat.worker", "ProgramArguments": ["/opt/macfleet/runtimes/0123456789ab/bin/python"]})
    paths = a_mac().paths

    finding = judge(Runtime(BUNDLE), a_mac(), {runtime(paths): (installed(), ""), starters(paths): (older.decode(),)})

    assert (finding.verdict, finding.have) == ("warn", f"{HERE}; chat was deployed with another one")
    assert finding.hint == "deploy chat again when it suits: until then it runs as it was deployed"
