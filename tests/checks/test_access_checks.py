"""What stands in a Mac's way, and the ways in: firewall, privacy, indexing, backups; sshd, owners, Homebrew, Tailscale."""

import json
import plistlib

import pytest

from macfleet.checks.firewall import Firewall
from macfleet.checks.homebrew import Homebrew
from macfleet.checks.local_network import LocalNetwork
from macfleet.checks.remote_login import RemoteLogin
from macfleet.checks.spotlight import Spotlight
from macfleet.checks.tailscale import Tailscale
from macfleet.checks.time_machine import TimeMachine
from macfleet.checks.volume_owner import VolumeOwner
from macfleet.macos import (
    brew,
    date,
    diskutil,
    dscl,
    launch_agents,
    launchctl,
    mdutil,
    socketfilterfw,
    tailscale,
    tmutil,
)
from macfleet.macos import id as id_
from tests.checks.macs import ADMIN, a_mac, judge

MAC = a_mac()


NOW = ("2026-11-20T09:27:03+0100\n",)


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
