"""sw_vers, sysctl, uname, id, sudo."""

import pytest

from macfleet.core.change import Unsupported
from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.macos import id, sudo, sw_vers, sysctl, uname
from tests.macos.recordings import answer, recorded

VM = "hw.model: VirtualMac2,1\nhw.memsize: 8589934592\nmachdep.cpu.brand_string: Apple M2 (Virtual)\nhw.optional.arm64: 1\n"
INTEL = "hw.model: Macmini8,1\nhw.memsize: 34359738368\nmachdep.cpu.brand_string: Intel(R) Core(TM) i7-8700B CPU @ 3.20GHz\n"


def test_version_and_build():
    assert sw_vers.parse_sw_vers(recorded("ops/sw_vers.26.5.txt")) == sw_vers.Version("macOS", "26.5", "25F71")


def test_a_rapid_response_adds_a_line():
    text = "ProductName:\t\tmacOS\nProductVersion:\t\t27.0.1\nProductVersionExtra:\t(a)\nBuildVersion:\t\t26A434\n"

    assert str(sw_vers.parse_sw_vers(text)) == "macOS 27.0.1 (26A434)"


@pytest.mark.parametrize(
    ("version", "minimum", "wanted"),
    [
        ("26.2", "26.2", True),
        ("26.10", "26.2", True),
        ("27.0", "26.2", True),
        ("26.1.9", "26.2", False),
        ("26", "26.0", True),
        ("15.6", "26.2", False),
    ],
)
def test_versions_compare_by_number(version, minimum, wanted):
    assert sw_vers.Version("macOS", version, "X").is_at_least(minimum) is wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no ProductName"),
        ("ProductName:\tmacOS\nProductVersion:\t26.5\n", "no BuildVersion"),
        ("ProductName: macOS\nProductVersion: tahoe\nBuildVersion: 25F71\n", 'ProductVersion is "tahoe"'),
    ],
)
def test_half_a_version_is_none(text, reason):
    with pytest.raises(Unparsable, match=reason):
        sw_vers.parse_sw_vers(text)


def test_a_machine_without_sw_vers_is_unknown():
    assert answer(sw_vers.VERSION, (127, "", "sh: sw_vers: command not found")) == Unknown(
        "`sw_vers` ended with 127: sh: sw_vers: command not found"
    )


def test_a_virtual_mac_says_so_in_its_model():
    assert answer(sysctl.IDENTITY, VM) == sysctl.Identity("VirtualMac2,1", 8589934592, "Apple M2 (Virtual)", True)


def test_an_intel_mac_has_no_arm64_and_is_still_known():
    identity = answer(sysctl.IDENTITY, (1, INTEL, "sysctl: unknown oid 'hw.optional.arm64'"))

    assert (identity.hardware, identity.is_apple_silicon) == ("Macmini8,1", False)


def test_linux_by_mistake_is_unknown():
    assert isinstance(answer(sysctl.IDENTITY, (255, "", "sysctl: cannot stat /proc/sys/hw/model: No such file or directory")), Unknown)


def test_values_without_names_are_refused():
    # A recording of `sysctl -n`: which number is which would be a guess.
    with pytest.raises(Unparsable, match=r"no hw\.model line"):
        sysctl.parse_identity(recorded("thunderbolt/sysctl_n.mac_studio_m3ultra.txt"))


def test_core_kinds_are_name_and_value():
    values = sysctl.parse_sysctl(recorded("thunderbolt/sysctl_perflevels.mbp_m5max.txt"))

    assert (len(values), values["hw.perflevel0.name"], values["hw.perflevel1.physicalcpu"]) == (19, "Super", "12")


def test_a_boot_is_its_uuid():
    assert answer(sysctl.BOOT, recorded("ops/sysctl.boot_identity.txt")) == sysctl.Boot("40962879-B7EE-4F13-AF6E-E7266EF5E732", 1790421415)


def test_a_boot_without_uuid_proves_nothing():
    assert isinstance(answer(sysctl.BOOT, "kern.bootsessionuuid: \nkern.boottime: { sec = 1790421415, usec = 0 }\n"), Unknown)


def test_pressure_and_swap_of_a_loaded_mac():
    wanted = sysctl.MemoryPressure(level=2, swap_used_bytes=round(11625.69 * 1024**2), swap_total_bytes=13312 * 1024**2)

    assert sysctl.parse_memory_pressure(recorded("ops/sysctl.loaded_48g.txt")) == wanted


def test_swap_with_a_decimal_comma_is_the_same_number():
    italian = "vm.swapusage: total = 2,00G  used = 512,50M  free = 1,50G  (encrypted)\nkern.memorystatus_vm_pressure_level: 1\n"

    assert sysctl.parse_memory_pressure(italian) == sysctl.MemoryPressure(1, round(512.5 * 1024**2), 2 * 1024**3)


def test_the_wired_limit_is_in_mib():
    assert answer(sysctl.WIRED_LIMIT, "hw.memsize: 549755813888\niogpu.wired_limit_mb: 458752\n") == 458752


def test_a_mac_without_the_setting_is_told_from_one_that_did_not_answer():
    lacking = answer(sysctl.WIRED_LIMIT, (1, "hw.memsize: 8589934592\n", "sysctl: unknown oid 'iogpu.wired_limit_mb'"))
    silent = answer(sysctl.WIRED_LIMIT, (1, "", "sysctl: unknown oid 'hw.memsize'"))

    assert isinstance(lacking, Unsupported)
    assert isinstance(silent, Unknown)


@pytest.mark.parametrize(
    "text", ["hw.memsize: 1\niogpu.wired_limit_mb: 458,752\n", "hw.memsize: 1\niogpu.wired_limit_mb: \n", "hw.memsize: 1\n"]
)
def test_a_wired_limit_that_is_no_number_is_unknown(text):
    assert isinstance(answer(sysctl.WIRED_LIMIT, text), Unknown)


def test_setting_the_limit_needs_root():
    assert sysctl.set_wired_limit(458752).shell() == "sudo -n sysctl iogpu.wired_limit_mb=458752"


def test_the_kernel_and_the_user_are_one_word_each():
    assert answer(uname.KERNEL, "Darwin\n") == "Darwin"
    assert answer(id.USER, "admin\n") == "admin"
    assert isinstance(answer(uname.KERNEL, ""), Unknown)
    assert isinstance(answer(id.USER, "\n"), Unknown)


@pytest.mark.parametrize(("status", "wanted"), [(0, True), (1, False)])
def test_sudo_tells_by_its_exit_status(status, wanted):
    assert answer(sudo.PASSWORDLESS, (status, "", "sudo: a password is required")) is wanted


def test_a_machine_without_sudo_is_unknown():
    assert isinstance(answer(sudo.PASSWORDLESS, (127, "")), Unknown)
