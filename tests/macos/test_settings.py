"""pmset, fdesetup, defaults, tailscale, brew."""

import plistlib

import pytest

from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.inventory.settings import Power
from macfleet.macos import brew, defaults, fdesetup, pmset, tailscale
from tests.macos.recordings import answer, recorded

MINI = "ops/pmset_g_custom.mac_mini.macos26.txt"
VM = "ops/pmset_g.macos15.6.1_vm.txt"


def test_settings_of_a_mac_mini():
    ac = pmset.parse_custom(recorded(MINI)).ac

    assert len(ac) == 13
    assert (ac["sleep"], ac["disksleep"], ac["autorestart"], ac["autorestartatconnect"]) == ("0", "10", "1", "0")
    assert ac["Sleep On Power Button"] == "1"


def test_a_virtual_machine_offers_less():
    ac = pmset.parse_custom(recorded(VM)).ac

    assert (ac["sleep"], ac["Sleep On Power Button"], "womp" in ac, "autorestart" in ac) == ("1", "1", False, False)


def test_what_holds_a_mac_awake_right_now_is_not_its_setting():
    ac = pmset.parse_custom("AC Power:\n sleep                1 (sleep prevented by caffeinate, sharingd)\n displaysleep         10\n").ac

    assert ac == {"sleep": "1", "displaysleep": "10"}


def test_a_battery_is_another_section():
    text = "Battery Power:\n sleep                1\n womp                 0\nAC Power:\n sleep                0\n womp                 1\n"

    assert pmset.parse_custom(text).ac == {"sleep": "0", "womp": "1"}


@pytest.mark.parametrize("text", ["", "AC Power:\n", "Battery Power:\n sleep                1\n", "AC Power:\n womp                 1\n"])
def test_power_settings_without_sleep_are_cut_short(text):
    with pytest.raises(Unparsable, match="no `sleep` setting"):
        pmset.parse_custom(text)


def test_a_mac_as_the_inventory_wants_it_has_no_differences():
    wanted = pmset.policy(**Power(disk_sleep_min=10, display_sleep_min=0, power_nap=True).model_dump())

    assert pmset.differences(pmset.parse_custom(recorded(MINI)), wanted) == ()
    assert pmset.unsupported(pmset.parse_custom(recorded(MINI)), wanted) == ()


def test_each_differing_key_is_named():
    wanted = pmset.policy(**Power(display_sleep_min=0).model_dump())

    assert pmset.differences(pmset.parse_custom(recorded(MINI)), wanted) == (
        pmset.PowerDifference("disksleep", "10", "0"),
        pmset.PowerDifference("powernap", "1", "0"),
    )


def test_a_key_that_a_mac_lacks_is_unsupported_where_it_matters():
    settings, wanted = pmset.parse_custom(recorded(VM)), pmset.policy(**Power().model_dump())

    assert pmset.unsupported(settings, wanted) == ("womp", "autorestart")
    assert {difference.key for difference in pmset.differences(settings, wanted)} == {"sleep"}


def test_a_laptop_calls_low_power_mode_by_another_name():
    settings = pmset.PowerSettings({"sleep": "0", "powermode": "1"})

    assert pmset.differences(settings, {"lowpowermode": "0"}) == (pmset.PowerDifference("powermode", "1", "0"),)
    assert pmset.differences(pmset.PowerSettings({"sleep": "0", "powermode": "2"}), {"lowpowermode": "0"}) == ()


@pytest.mark.parametrize(("choice", "pair"), [("never", ("0", "0")), ("after-failure", ("1", "0")), ("always", ("0", "1"))])
def test_power_on_is_a_pair_of_keys(choice, pair):
    wanted = pmset.policy(**Power(power_on=choice).model_dump())

    assert (wanted["autorestart"], wanted["autorestartatconnect"]) == pair


def test_capabilities_are_keys():
    text = "Capabilities for AC Power:\n displaysleep\n disksleep\n sleep\n autorestart\n autorestartatconnect\n"

    assert pmset.parse_capabilities(text) >= {"sleep", "autorestartatconnect"}
    with pytest.raises(Unparsable):
        pmset.parse_capabilities("")


def test_power_is_set_in_one_command():
    assert pmset.set_power({"sleep": "0", "womp": "1"}).shell() == "sudo -n pmset -a sleep 0 womp 1"


def test_filevault_is_on_or_off():
    on, off = recorded("ops/fdesetup_status.strings.txt").splitlines()

    assert (answer(fdesetup.STATUS, on), answer(fdesetup.STATUS, off)) == (True, False)


@pytest.mark.parametrize("said", ["", "FileVault is confused.", (1, "")])
def test_filevault_that_says_neither_is_unknown(said):
    assert isinstance(answer(fdesetup.STATUS, said), Unknown)


def exported(**values):
    return plistlib.dumps(values).decode()


def test_an_update_switch_that_was_never_set_is_on():
    update = answer(defaults.SOFTWARE_UPDATE, exported(AutomaticallyInstallMacOSUpdates=False, LastResultCode=2, LastUpdates=["é"]))

    assert not update.is_on("AutomaticallyInstallMacOSUpdates")
    assert update.is_on("AutomaticDownload")


@pytest.mark.parametrize("said", [(1, "", "Domain does not exist"), exported()])
def test_a_domain_nobody_wrote_to_has_apples_defaults(said):
    assert answer(defaults.SOFTWARE_UPDATE, said) == defaults.SoftwareUpdate({})


@pytest.mark.parametrize("said", ["", "<plist><dict><key>A", '<plist version="1.0"><array/></plist>', "{\n  A = 1;\n}", (127, "")])
def test_preferences_that_are_no_dictionary_are_unknown(said):
    assert isinstance(answer(defaults.SOFTWARE_UPDATE, said), Unknown)


def test_a_preference_is_written_as_root():
    assert defaults.write_bool(defaults.SOFTWARE_UPDATE_DOMAIN, "AutomaticDownload", False).shell() == (
        "sudo -n defaults write /Library/Preferences/com.apple.SoftwareUpdate AutomaticDownload -bool false"
    )


# Reconstructed from tailscale's ipn/ipnstate/ipnstate.go: no whole recording of a Mac was found.
TAILSCALE = """{"Version": "1.98.1", "BackendState": "Running", "TailscaleIPs": ["100.64.0.2"], "Health": ["ä warning"],
 "Self": {"HostName": "studio-1", "Online": true, "TailscaleIPs": ["100.64.0.2"], "Tags": ["tag:llm"], "KeyExpiry": "2027-03-01T00:00:00Z"},
 "Peer": {}}"""


def test_a_mac_on_the_tailnet():
    assert answer(tailscale.STATUS, TAILSCALE) == tailscale.Tailscale(
        "Running", True, "studio-1", ("100.64.0.2",), ("tag:llm",), "2027-03-01T00:00:00Z", health=("ä warning",)
    )


def test_before_the_first_login_there_is_no_self():
    assert answer(tailscale.STATUS, '{"BackendState": "NeedsLogin", "Self": null}') == tailscale.Tailscale("NeedsLogin")


def test_no_program_and_no_daemon_are_answers():
    missing = answer(tailscale.STATUS, (127, "", "sh: tailscale: command not found"))
    silent = answer(tailscale.STATUS, (1, "", "failed to connect to local Tailscale service; is Tailscale running?"))

    assert (missing.backend_state, missing.is_installed) == ("NotInstalled", False)
    assert (silent.backend_state, silent.is_installed) == ("NoDaemon", True)


@pytest.mark.parametrize("said", ["", "{}", '{"BackendState": 3}', (2, "")])
def test_a_tailscale_that_says_no_state_is_unknown(said):
    assert isinstance(answer(tailscale.STATUS, said), Unknown)


def test_the_auth_key_is_in_no_argument():
    assert tailscale.up("studio-1", "/opt/macfleet/key", ssh=True, tags=("tag:llm", "tag:mac")).shell() == (
        "sudo -n tailscale up --auth-key=file:/opt/macfleet/key --ssh --advertise-tags=tag:llm,tag:mac --hostname=studio-1 --timeout=30s"
    )


def test_homebrew_is_there_or_not():
    assert answer(brew.PREFIX, "/opt/homebrew\n") == "/opt/homebrew"
    assert answer(brew.PREFIX, (127, "")) is None
    assert isinstance(answer(brew.PREFIX, "Warning: something\n/opt/homebrew\n"), Unknown)
    assert not brew.install("tailscale").sudo
    assert brew.start_service("tailscale").sudo
