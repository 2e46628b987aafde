"""macOS and who may do what on it; and machines that are not what the inventory says."""

from __future__ import annotations

from macfleet.core.errors import RequestError
from macfleet.lab.fault import Fault, FaultOptions, change, forget, has, marked, remember
from macfleet.lab.paths import MacDir
from macfleet.lab.programs import install_homebrew, remove_homebrew
from macfleet.lab.remote import ask
from macfleet.lab.state import State, load_state
from macfleet.lab.sudo import allow_some, forbid_some, give_rules_back, take_rules

# Version and build. Those of 15 and 27 also change what the Mac's programs know: see lab/strange.py.
OTHER_MACOS = {"old-build": ("26.4.1", "25E253"), "macos-15": ("15.6.1", "24G90"), "macos-27": ("27.0", "26A428")}


def _another_macos(name: str, meaning: str) -> Fault:
    version, build = OTHER_MACOS[name]

    def inject(mac: MacDir, options: FaultOptions) -> str:
        change(mac, macos_version=version, macos_build=build)
        return remember(mac, name, f"runs macOS {version} ({build})")

    def heal(mac: MacDir) -> None:
        if forget(mac, name) is not None:
            new = State.model_fields
            change(mac, macos_version=new["macos_version"].default, macos_build=new["macos_build"].default)

    return Fault(name, meaning, inject, heal)


def _inject_rdma_off(mac: MacDir, options: FaultOptions) -> str:
    """As if it had been switched off in Recovery before the last boot: at once, not from the next boot on."""
    change(mac, rdma_enabled=False, has_rdma=False)
    return remember(mac, "rdma-off", "RDMA is off")


def _heal_rdma_off(mac: MacDir) -> None:
    if forget(mac, "rdma-off") is not None:
        ask(mac, "enable_rdma")


def _inject_sudo_password(mac: MacDir, options: FaultOptions) -> str:
    _must_have_rules(mac)
    take_rules(mac)
    return remember(mac, "sudo-password", "sudo asks for a password")


def _heal_sudo_password(mac: MacDir) -> None:
    if not has(mac, "sudo-some"):
        give_rules_back(mac)
    forget(mac, "sudo-password")


def _inject_sudo_some(mac: MacDir, options: FaultOptions) -> str:
    _must_have_rules(mac)
    take_rules(mac)
    return remember(mac, "sudo-some", f"sudo asks for a password, except for {', '.join(allow_some(mac))}")


def _heal_sudo_some(mac: MacDir) -> None:
    if forget(mac, "sudo-some") is not None:
        forbid_some(mac)
        give_rules_back(mac)


def _must_have_rules(mac: MacDir) -> None:
    """Both take sudo's rules away: one of them at a time, or healing one would undo the other."""
    taken = [name for name in ("sudo-password", "sudo-some") if has(mac, name)]
    if taken:
        raise RequestError(f"{mac.name} already has the fault {taken[0]}", hint=f"`macfleet lab heal {taken[0]} --mac {mac.name}` first")


def _inject_no_homebrew(mac: MacDir, options: FaultOptions) -> str:
    remove_homebrew(mac)
    return remember(mac, "no-homebrew", "Homebrew is not installed")


def _heal_no_homebrew(mac: MacDir) -> None:
    install_homebrew(mac)
    forget(mac, "no-homebrew")


def _inject_not_owner(mac: MacDir, options: FaultOptions) -> str:
    change(mac, is_volume_owner=False)
    return remember(mac, "not-owner", f"{load_state(mac.state).user} is no owner of its volume")


def _heal_not_owner(mac: MacDir) -> None:
    if forget(mac, "not-owner") is not None:
        change(mac, is_volume_owner=True)


def _inject_clock_wrong(mac: MacDir, options: FaultOptions) -> str:
    """As after a power cut, before the time of the network has come."""
    change(mac, clock_off_s=-3600.0)
    return remember(mac, "clock-wrong", "its clock is an hour behind")


def _heal_clock_wrong(mac: MacDir) -> None:
    if forget(mac, "clock-wrong") is not None:
        change(mac, clock_off_s=0.0)


MACOS: tuple[Fault, ...] = (
    _another_macos("old-build", "The Mac runs an older macOS than the others"),
    _another_macos("macos-15", "The Mac runs macOS 15: no RDMA, and power settings that are not there yet"),
    _another_macos("macos-27", "The Mac was brought to macOS 27, alone"),
    marked("linux", "Another machine answers at the Mac's address: a Linux box", "is a Linux box"),
    marked("intel", "Another machine answers at the Mac's address: a Mac Pro with an Intel chip", "is an Intel Mac"),
    Fault("rdma-off", "RDMA over Thunderbolt is not enabled", _inject_rdma_off, _heal_rdma_off),
    marked("rdma-wedged", "The RDMA driver hangs: ibv_devinfo never ends", "ibv_devinfo never ends"),
    Fault("sudo-password", "sudo asks for a password", _inject_sudo_password, _heal_sudo_password),
    Fault("sudo-some", "sudo asks for a password, except for a few programs", _inject_sudo_some, _heal_sudo_some),
    Fault("no-homebrew", "Homebrew is not installed", _inject_no_homebrew, _heal_no_homebrew),
    Fault("clock-wrong", "The Mac's clock is an hour behind", _inject_clock_wrong, _heal_clock_wrong),
    marked("update-fails", "Apple's update server cannot be reached from the Mac", "softwareupdate cannot connect to Apple"),
    Fault("not-owner", "The account is no owner of the volume: it cannot install macOS", _inject_not_owner, _heal_not_owner),
)
