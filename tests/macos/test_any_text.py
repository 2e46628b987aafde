"""Whatever a Mac prints, a parser gives a value or says Unparsable: no other exception, and no half list for a whole one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.errors import Unparsable
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos import (
    brew,
    defaults,
    df,
    fdesetup,
    files,
    ibv,
    ifconfig,
    launchctl,
    macmon,
    networksetup,
    nvram,
    plist,
    plutil,
    pmset,
    powermetrics,
    rdma_ctl,
    runtime,
    smartctl,
    socketfilterfw,
    softwareupdate,
    sudo,
    sw_vers,
    sysctl,
    system_profiler,
    tailscale,
    uname,
    vm_stat,
)
from macfleet.macos import id as id_
from tests.macos.recordings import FIXTURES, recorded

PARSERS = (
    brew.parse_prefix,
    defaults.parse_software_update,
    df.parse_df,
    fdesetup.parse_fdesetup,
    files.parse_shasum,
    files.parse_stat,
    ibv.parse_devices,
    ibv.parse_devinfo,
    id_.parse_id,
    ifconfig.parse_ifconfig,
    launchctl.parse_disabled,
    launchctl.parse_print,
    macmon.parse_macmon,
    networksetup.parse_hardware_ports,
    networksetup.parse_service_info,
    networksetup.parse_services,
    nvram.parse_nvram,
    plist.parse_job_description,
    plutil.parse_bridges,
    pmset.parse_capabilities,
    pmset.parse_custom,
    powermetrics.parse_thermal_pressure,
    rdma_ctl.parse_rdma_ctl,
    runtime.parse_runtime,
    runtime.parse_starters,
    smartctl.parse_smartctl,
    socketfilterfw.parse_firewall,
    softwareupdate.parse_updates,
    sw_vers.parse_sw_vers,
    sysctl.parse_boot,
    sysctl.parse_identity,
    sysctl.parse_memory_pressure,
    sysctl.parse_sysctl,
    system_profiler.parse_thunderbolt,
    tailscale.parse_status,
    uname.parse_uname,
    vm_stat.parse_vm_stat,
)
MODULES = (
    brew, defaults, fdesetup, ibv, id_, ifconfig, launchctl, macmon, networksetup, nvram, plutil, pmset,
    powermetrics, rdma_ctl, smartctl, socketfilterfw, softwareupdate, sudo, sw_vers, sysctl,
    system_profiler, tailscale, uname, vm_stat,
)  # fmt: skip
FACTS = (
    *(value for module in MODULES for value in vars(module).values() if isinstance(value, Fact)),
    df.free("/"),
    files.file_state("/x"),
    files.file_text("/x"),
    launchctl.job("x"),
    networksetup.service_info("x"),
    runtime.starters(MacPaths()),
)
RECORDINGS = sorted(
    str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("*") if path.is_file() and not path.name.endswith((".source.txt", ".md"))
)
# Programs whose answer shows that it is whole: cut anywhere, it is refused.
SHOWS_ITS_END = {
    "thunderbolt/sp_thunderbolt.mac_studio_m3ultra.connected_mbp_and_drive.json": system_profiler.parse_thunderbolt,
    "thunderbolt/networksetup_listallhardwareports.studio_6ports_no_bridge.sanitised.txt": networksetup.parse_hardware_ports,
    "ops/launchctl_print_system.running.txt": launchctl.parse_print,
    "thunderbolt/plutil_bridge_prefs.mbp.sanitised.json": plutil.parse_bridges,
}


def value_or_unparsable(parse, text):
    """The value; None for Unparsable. Everything else goes through, and fails the test."""
    try:
        return parse(text)
    except Unparsable:
        return None


def assert_all_survive(text):
    for parse in PARSERS:
        value_or_unparsable(parse, text)


def test_there_are_recordings():
    assert len(RECORDINGS) > 50


@pytest.mark.parametrize("parse", [parse for parse in PARSERS if parse is not sysctl.parse_sysctl], ids=lambda parse: parse.__name__)
def test_who_refuses_a_text_names_the_program(parse):
    with pytest.raises(Unparsable, match=r"^`.+` answered in a form macfleet does not know: "):
        parse("\x00 ü {\nx")


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_cut_short_at_any_line_is_a_value_or_refused(name):
    lines = recorded(name).splitlines(keepends=True)

    for count in range(len(lines) + 1):
        assert_all_survive("".join(lines[:count]))


@pytest.mark.parametrize("name", sorted(SHOWS_ITS_END))
def test_where_the_end_shows_nothing_short_of_it_is_a_value(name):
    lines = recorded(name).splitlines(keepends=True)
    end = next(number for number, line in enumerate(lines) if "VLAN" in line or line.startswith("}")) if len(lines) > 1 else 0

    whole = [value_or_unparsable(SHOWS_ITS_END[name], "".join(lines[:count])) for count in range(end + 1)]

    assert whole == [None] * (end + 1)


@given(st.data())
def test_a_recording_cut_and_mangled_anywhere_is_a_value_or_refused(data):
    text = recorded(data.draw(st.sampled_from(RECORDINGS)))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))

    assert_all_survive(text[:start] + data.draw(st.text(max_size=20)) + text[end:])


@given(st.text())
def test_any_text_is_a_value_or_refused(text):
    assert_all_survive(text)


@given(st.data(), st.sampled_from([None, 0, 1, 113, 127, 255]))
def test_any_fact_of_any_answer_is_a_value_or_unknown(data, status):
    fact = data.draw(st.sampled_from(FACTS))
    texts = st.sampled_from(RECORDINGS).map(recorded) | st.text(max_size=80)

    results = [Result(command, status, data.draw(texts), data.draw(texts)) for command in fact.commands]

    assert fact.understand(results) is not Unknown


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_every_fact_has_a_deadline_and_a_program_found_by_path(fact):
    assert all(0 < command.timeout_s <= 180 for command in fact.commands)
    assert not any(command.argv[0].startswith("/") for command in fact.commands)


def test_no_two_facts_share_a_name():
    names = [fact.name for fact in FACTS]

    assert len(names) == len(set(names))
