"""pmset, sysctl, defaults, Software Update: a setting that differs is set, one that is not there is said."""

from dataclasses import replace

import pytest

from macfleet.core.errors import PlaybookError, RequestError
from tests.modules.memory_mac import MAC, MemoryMac
from tests.modules.play import plan, play


@pytest.mark.parametrize(
    ("choice", "have", "done"),
    [
        ("never", ("1", "0"), ["pmset autorestart 1 → 0"]),
        ("after-failure", ("0", "1"), ["pmset autorestartatconnect 1 → 0", "pmset autorestart 0 → 1"]),
        ("always", ("1", "0"), ["pmset autorestart 1 → 0", "pmset autorestartatconnect 0 → 1"]),
    ],
)
def test_power_on_is_a_pair_that_is_never_both_on(choice, have, done):
    memory = MemoryMac()
    memory.pmset |= dict(zip(("autorestart", "autorestartatconnect"), have, strict=True))

    assert play(memory, f"pmset: {{power_on: {choice}}}")[0] == done


def test_a_key_this_mac_has_not_is_said_beside_what_can_be_set():
    memory = MemoryMac(pmset={"sleep": "1"})

    made = plan(memory, "pmset: {sleep: 0, womp: true}")

    assert [change.line() for _, change in made.changes] == ["pmset sleep 1 → 0"]
    assert [reason.reason for _, reason in made.unsupported] == ["this Mac has no pmset womp"]


def test_an_absent_key_that_should_be_off_is_off():
    assert plan(MemoryMac(pmset={"sleep": "0"}), "pmset: {sleep: 0, lowpowermode: false}").unsupported == ()


def test_a_wired_limit_above_the_memory_is_refused():
    with pytest.raises(RequestError, match="a wired limit of 64 GiB leaves nothing of 64 GiB to macOS"):
        plan(MemoryMac(), "sysctl: {name: iogpu.wired_limit_mb, value: 65536}")


def test_a_virtual_machine_has_no_wired_limit():
    memory = MemoryMac(sysctls={"hw.memsize": str(2**36)})

    made = plan(memory, "sysctl: {name: iogpu.wired_limit_mb, value: 1000}")

    assert made.is_as_wanted
    assert made.unsupported[0][1].reason == "this Mac has no sysctl iogpu.wired_limit_mb"


def test_updates_that_were_never_set_are_on():
    done, _ = play(MemoryMac(), "software_update_policy: {automatic: false}")

    assert done == ["software update AutomaticallyInstallMacOSUpdates on → off", "software update AutomaticDownload on → off"]


def test_a_preference_of_another_type_differs():
    memory = MemoryMac(defaults={"com.apple.dock": {"autohide": 1}})

    done, _ = play(memory, "user_default: {domain: com.apple.dock, key: autohide, type: bool, value: true}")

    assert done == ["defaults com.apple.dock autohide 1 → true"]


def test_a_preference_of_the_user_is_written_without_root():
    [(_, change)] = plan(MemoryMac(), "user_default: {domain: com.apple.dock, key: tilesize, type: int, value: 32}").changes

    assert not change.commands[0].sudo


def test_a_smaller_mac_may_wire_less():
    small = replace(MAC, memory_bytes=16 * 2**30)

    with pytest.raises(RequestError, match="of 16 GiB to macOS"):
        plan(MemoryMac(), "sysctl: {name: iogpu.wired_limit_mb, value: 20000}", mac=small)


def test_a_laptop_gets_back_what_held_on_its_battery():
    memory = MemoryMac(battery={"sleep": "5"})

    [(_, change)] = plan(memory, "pmset: {sleep: 0}").changes

    assert [str(command) for command in change.undo] == ["sudo -n pmset -c sleep 1", "sudo -n pmset -b sleep 5"]


def test_a_wired_limit_may_hold_from_every_boot_on():
    memory = MemoryMac()

    done, left = play(memory, "sysctl: {name: iogpu.wired_limit_mb, value: 28672, at_boot: true}")

    job = "launchd dev.macfleet.sysctl.iogpu.wired_limit_mb"
    assert done == ["sysctl iogpu.wired_limit_mb 0 → 28672", f"{job} absent → loaded"]
    assert b"iogpu.wired_limit_mb=28672" in memory.jobs[job.split()[1]]["plist"]
    assert left.is_as_wanted


def test_a_value_of_another_type_is_put_back_in_its_type():
    memory = MemoryMac(defaults={"com.apple.dock": {"autohide": 1}})
    [(_, change)] = plan(memory, "user_default: {domain: com.apple.dock, key: autohide, type: bool, value: true}").changes

    assert [str(command) for command in change.undo] == ["defaults write com.apple.dock autohide -int 1"]


def test_a_list_is_put_back_as_the_list_it_was():
    memory = MemoryMac(defaults={"com.apple.dock": {"apps": ["a", "b"]}})
    [(_, change)] = plan(memory, "user_default: {domain: com.apple.dock, key: apps, state: absent}").changes

    assert change.undo[0].argv[:4] == ("defaults", "write", "com.apple.dock", "apps")
    assert change.undo[0].argv[4].split() == ["<array>", "<string>a</string>", "<string>b</string>", "</array>"]


def test_a_preference_may_be_unset():
    memory = MemoryMac(defaults={"com.apple.dock": {"autohide": True}})

    done, left = play(memory, "user_default: {domain: com.apple.dock, key: autohide, state: absent}")

    assert done == ["defaults com.apple.dock autohide true → unset"]
    assert left.is_as_wanted


@pytest.mark.parametrize("wrong", ["type: bool, value: maybe", "type: int, value: ten", "type: int", "state: absent, value: 1"])
def test_a_preference_that_makes_no_sense_is_refused_before_any_mac_is_asked(wrong):
    with pytest.raises(PlaybookError, match=r"x\.yaml:"):
        plan(MemoryMac(), f"user_default: {{domain: x, key: y, {wrong}}}")


def test_macos_may_be_told_not_to_look_for_updates():
    memory = MemoryMac()

    done, left = play(memory, "software_update_policy: {automatic: true, search: false}")

    assert done == ["software update search on → off"]
    assert left.is_as_wanted


def test_a_mac_that_would_sleep_on_its_ups_differs():
    memory = MemoryMac(on_ups={"sleep": "5"})
    memory.pmset["sleep"] = "0"
    before = memory.without_our_notes()

    [(_, change)] = plan(memory, "pmset: {sleep: 0}").changes
    assert change.line() == "pmset sleep 5 on its UPS → 0"

    memory.apply(change.commands)
    assert memory.on_ups == {"sleep": "0"}
    memory.apply(change.undo)
    assert memory.without_our_notes() == before


def test_a_mac_on_a_ups_shuts_down_before_it_is_empty():
    memory = MemoryMac(on_ups={"sleep": "0"}, thresholds={"haltafter": "5"})

    done, left = play(memory, "pmset: {haltlevel: 20, haltafter: 5}")

    assert done == ["pmset haltlevel off → 20"]
    assert left.is_as_wanted


def test_a_threshold_that_was_off_is_off_again():
    memory = MemoryMac(on_ups={"sleep": "0"})
    [(_, change)] = plan(memory, "pmset: {haltlevel: 20}").changes
    memory.apply(change.commands)

    memory.apply(change.undo)

    assert memory.thresholds == {}


def test_without_a_ups_its_thresholds_wait():
    made = plan(MemoryMac(), "pmset: {haltlevel: 20}")

    assert made.is_as_wanted
    assert made.unsupported[0][1].reason == "no UPS is connected, and haltlevel would be for one"
