"""Puts macOS's programs on a simulated Mac: one client under all their names, and the two that need no answer from it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from macfleet.lab.commands import ELSEWHERE, PROGRAMS
from macfleet.lab.paths import MacDir
from macfleet.lab.sudo import render_sudo

# `-I -S`: no site-packages, no environment; a third of the start-up time of a usual Python.
PYTHON = (os.path.realpath(sys.executable), "-I", "-S")
HERE = Path(__file__).resolve().parent


def install_programs(mac: MacDir, socket: str, user: str) -> None:
    """Every emulated program of this Mac. Written anew at each `lab up`: the socket and this Python may have moved."""
    mac.bin.mkdir(exist_ok=True)
    client = mac.bin / ".client"
    _script(client, f'#!/bin/sh\nexec {shlex.join((*PYTHON, str(HERE / "client.py"), socket))} "$0" "$@"\n')
    for name in PROGRAMS.keys() - ELSEWHERE:
        _link(mac.bin / name, client)
    _link(mac.root / "usr/libexec/ApplicationFirewall/socketfilterfw", client)
    _script(mac.bin / "shasum", f'#!/bin/sh\nexec {shlex.join((*PYTHON, str(HERE / "shasum.py")))} "$@"\n')
    _script(mac.bin / "sudo", render_sudo(mac, user))


def install_homebrew(mac: MacDir) -> None:
    _link(mac.root / "opt/homebrew/bin/brew", mac.bin / ".client")


def remove_homebrew(mac: MacDir) -> None:
    (mac.root / "opt/homebrew/bin/brew").unlink(missing_ok=True)


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)
