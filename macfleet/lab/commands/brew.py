"""`brew`: the formulas that a fleet needs. uv is this machine's real uv; tailscale and smartctl are emulated."""

from __future__ import annotations

import os
import plistlib
import shutil
import sys
import sysconfig
from pathlib import Path

from macfleet.lab.ownership import record_owner
from macfleet.lab.world import Call, Reply, World, failed

PREFIX = "opt/homebrew"
_PROGRAMS = {"smartmontools": "sbin/smartctl"}  # the others are called like their formula
TAILSCALE_JOB = "homebrew.mxcl.tailscale"


async def brew(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("--prefix",):
            return Reply(f"{world.root / PREFIX}\n")
        case ("services", verb, formula) if call.is_root:
            return await _service(world, verb, formula)
    if call.is_root:
        return failed("Error: Running Homebrew as root is extremely dangerous and no longer supported.")
    match call.arguments:
        case ("install", *options, formula) if all(option.startswith("-") for option in options):
            return _install(world, formula)
        case ("uninstall", *options, formula) if all(option.startswith("-") for option in options):
            return _uninstall(world, formula)
        case ("list", *_):
            return Reply("".join(f"{formula}\n" for formula in sorted(world.state.formulas)))
        case ("services", *_):
            return failed("Error: a rehearsal Mac's Homebrew runs its services as root only")
    return failed(f"Error: Unknown command: brew {' '.join(call.arguments)}")


def _install(world: World, formula: str) -> Reply:
    if formula in world.state.formulas:
        return Reply(stderr=f"Warning: {formula} is already installed and up-to-date.\n")
    match formula:
        case "uv":
            reply = _install_uv(world)
        case "tailscale":
            reply = _install_tailscale(world)
        case "smartmontools":
            reply = _install_smartmontools(world)
        case _:
            return failed(f'Warning: No available formula with the name "{formula}". Here are smartmontools, tailscale and uv.')
    if reply.exit_status == 0:
        world.state.formulas.append(formula)
    return reply


def _install_uv(world: World) -> Reply:
    real = find_uv()
    if real is None:
        return failed("Error: uv: this machine has none to lend to its rehearsal Macs; install the lab's requirements")
    _link(world.root / PREFIX / "bin/uv", Path(real))
    _link(world.root / PREFIX / "opt/uv", Path(real).parent)  # Homebrew keeps such a link for everything installed
    return Reply(f"==> Fetching uv\n==> Pouring uv\n🍺  {world.root / PREFIX}/Cellar/uv\n")


def _install_tailscale(world: World) -> Reply:
    _link(world.root / PREFIX / "bin/tailscale", world.dir.bin / ".client")
    daemon = world.root / PREFIX / "opt/tailscale/bin/tailscaled"
    daemon.parent.mkdir(parents=True, exist_ok=True)
    # What it would do is answered by `tailscale`; it only has to be a process that launchd can start and lose.
    daemon.write_text("#!/bin/sh\nexec sleep 2147483647\n")
    daemon.chmod(0o755)
    return Reply(f"==> Fetching tailscale\n==> Pouring tailscale\n🍺  {world.root / PREFIX}/Cellar/tailscale\n")


def _install_smartmontools(world: World) -> Reply:
    _link(world.root / PREFIX / "sbin/smartctl", world.dir.bin / ".client")
    (world.root / PREFIX / "opt/smartmontools").mkdir(parents=True, exist_ok=True)
    return Reply(f"==> Fetching smartmontools\n==> Pouring smartmontools\n🍺  {world.root / PREFIX}/Cellar/smartmontools\n")


async def _service(world: World, verb: str, formula: str) -> Reply:
    if formula != "tailscale" or formula not in world.state.formulas:
        return failed(f"Error: Formula `{formula}` is not installed.")
    path = world.root / "Library/LaunchDaemons" / f"{TAILSCALE_JOB}.plist"
    if verb == "stop":
        return await _stop_service(world, formula, path)
    if verb not in ("start", "restart"):
        return failed(f"Error: a rehearsal Mac's Homebrew can only start and stop services, not {verb} them")
    if TAILSCALE_JOB in world.launchd.jobs:
        return Reply(f"Service `{formula}` already started, use `brew services restart {formula}` to restart.\n")
    program = str(world.root / PREFIX / "opt/tailscale/bin/tailscaled")
    path.write_bytes(plistlib.dumps({"Label": TAILSCALE_JOB, "ProgramArguments": [program], "KeepAlive": True, "RunAtLoad": True}))
    path.chmod(0o644)
    record_owner(world.state, path, "root", "wheel")
    status = world.launchd.bootstrap(path)
    if status:
        return failed(f"Error: Failure while executing; `launchctl bootstrap system {path}` exited with {status}.")
    return Reply(f"==> Successfully started `{formula}` (label: {TAILSCALE_JOB})\n")


async def _stop_service(world: World, formula: str, path: Path) -> Reply:
    """Out of launchd and out of LaunchDaemons: it does not come back at the next boot."""
    if TAILSCALE_JOB not in world.launchd.jobs:
        return Reply(f"Warning: Service `{formula}` is not started.\n")
    await world.launchd.bootout(TAILSCALE_JOB)
    path.unlink(missing_ok=True)
    return Reply(f"==> Successfully stopped `{formula}` (label: {TAILSCALE_JOB})\n")


def _uninstall(world: World, formula: str) -> Reply:
    if formula not in world.state.formulas:
        return failed(f"Error: No such keg: {world.root / PREFIX}/Cellar/{formula}")
    world.state.formulas.remove(formula)
    for path in _PROGRAMS.get(formula, f"bin/{formula}"), f"opt/{formula}":
        _remove(world.root / PREFIX / path)
    return Reply(f"Uninstalling {world.root / PREFIX}/Cellar/{formula}...\n")


def find_uv() -> str | None:
    """The uv beside this Python, else the one on PATH."""
    beside = os.path.join(sysconfig.get_path("scripts"), "uv")
    return (
        beside if os.access(beside, os.X_OK) else shutil.which("uv", path=f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', '')}")
    )


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _remove(path: Path) -> None:
    """Gone, and the directory that was made for it, as Homebrew leaves none that is empty."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()
