"""What still needs a hand at the Mac once macfleet can log in: nothing here can be done over SSH. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory import hardware
from macfleet.inventory.mac import Mac
from macfleet.macos import brew, diskutil, dscl, fdesetup, id, rdma_ctl, sw_vers, sysctl, tmutil

FACTS: tuple[Fact[Any], ...] = (
    id.USER,
    sw_vers.VERSION,
    sysctl.IDENTITY,
    dscl.USERS,
    diskutil.CRYPTO_USERS,
    rdma_ctl.STATUS,
    fdesetup.STATUS,
    tmutil.FULL_DISK_ACCESS,
    brew.PREFIX,
)
# Since macOS 27 the switch is in System Settings; before, only Recovery has it (Apple TN3205).
_RDMA_SWITCH_SINCE = "27"


@dataclass(frozen=True)
class ByHand:
    """`what` is true now; `do` is what a person at the Mac does about it, and why."""

    what: str
    do: str


def is_volume_owner(facts: Facts) -> bool | None:
    """Whether the account that is logged in owns the system volume; None when nobody knows."""
    user, users, crypto_users = facts[id.USER], facts[dscl.USERS], facts[diskutil.CRYPTO_USERS]
    if isinstance(user, Unknown) or isinstance(users, Unknown) or isinstance(crypto_users, Unknown):
        return None
    return diskutil.owns_volume(user, users, crypto_users)


def by_hand(mac: Mac, facts: Facts) -> tuple[ByHand, ...]:
    """What a person has to do at this Mac, in the order in which it is best done. What nobody could look at is not claimed."""
    return tuple(_steps(mac, facts))


def _steps(mac: Mac, facts: Facts) -> Iterator[ByHand]:
    user = facts[id.USER] or mac.user
    if is_volume_owner(facts) is False:
        yield ByHand(
            f"{user} is no owner of the system volume: macOS refuses its password for updates",
            f"log in once at the Mac's own screen as {user}: only there does macOS hand out the token that makes an owner",
        )
    if facts[rdma_ctl.STATUS] is False and _has_thunderbolt_5(mac, facts):
        yield ByHand("RDMA over Thunderbolt is off", _how_to_enable_rdma(facts))
    if facts[fdesetup.STATUS] is True and mac.settings.filevault != "on":
        yield ByHand(
            "FileVault is on: after every restart the disk waits for a password",
            "turn it off in System Settings > Privacy & Security; or leave it on, and type the password into `ssh` when the Mac waits",
        )
    if facts[tmutil.FULL_DISK_ACCESS] is False:
        yield ByHand(
            "SSH logins have no full disk access",
            'tick "Allow full disk access for remote users" in System Settings > General > Sharing > Remote Login (i)',
        )
    if facts[brew.PREFIX] is None:
        yield ByHand("Homebrew is not installed", f"install it as {user}, see https://brew.sh: uv and Tailscale come from it")


def _has_thunderbolt_5(mac: Mac, facts: Facts) -> bool:
    """The switch also exists where it is of no use; what nobody knows may have the ports."""
    identity = facts[sysctl.IDENTITY]
    row = hardware.find(mac.hardware if isinstance(identity, Unknown) else identity.hardware)
    return row is None or row.has_rdma


def _how_to_enable_rdma(facts: Facts) -> str:
    version = facts[sw_vers.VERSION]
    if not isinstance(version, Unknown) and version.is_at_least(_RDMA_SWITCH_SINCE):
        return "turn it on in System Settings > Privacy & Security > Developer Tools > RDMA over Thunderbolt, and restart"
    return (
        "shut down, hold the power button until the startup options appear, choose Options, then Utilities > Terminal, type"
        " `rdma_ctl enable`, and restart"
    )
