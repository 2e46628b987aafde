"""A simulated Mac whose account can be logged into without a process: its programs asked directly, its scripts run by the real sh."""

from __future__ import annotations

import subprocess
from pathlib import Path

from macfleet.core.errors import AuthenticationFailed
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.inventory.mac import Mac
from macfleet.lab.commands import ELSEWHERE, PROGRAMS
from macfleet.lab.factory import home_of
from macfleet.lab.world import Call
from macfleet.macos import visudo
from tests.lab.simulated import make_macs

PASSWORD = Secret("rehearsal")


class AccountMac:
    """One Mac as shipped, and the lines to it: by password always, by key when its authorized_keys lists `key`."""

    def __init__(self, directory, key: str):
        (self.world,) = make_macs(directory / "lab", "studio-1", as_shipped=True)
        self.mac = Mac("studio-1", "10.0.0.1", "Mac15,14", 512 << 30, user="admin", root=str(self.world.root))
        self.home = home_of(self.world.state, self.world.root)
        self._key = key
        self._programs = directory / "programs"
        self._programs.mkdir()
        for name in ("chown", "visudo"):  # what the scripts call, as root, which nobody is here
            (self._programs / name).write_text("#!/bin/sh\nexit 0\n")
            (self._programs / name).chmod(0o755)
        self.said: list[str] = []  # what stood on the stdin of each sudo that asked
        self.log: list[str] = []

    @property
    def rule(self):
        return Path(visudo.rule_path(self.mac.paths, "admin"))

    @property
    def authorized(self):
        return self.home / ".ssh/authorized_keys"

    def connect(self, mac, ssh, on_result):
        """By key alone."""
        if not self.authorized.exists() or self._key not in self.authorized.read_text():
            raise AuthenticationFailed("10.0.0.1:22 does not let admin in", mac=mac.name)
        return Line(self)

    def connect_by_password(self, mac, ssh, on_result):
        return Line(self)

    def run(self, command) -> Result:
        self.log.append(command.shell())
        argv, stdin, wants_root = command.argv, _bytes(command.stdin), command.sudo or command.argv[0] == "sudo"
        if wants_root and self._asks():
            if "-S" not in argv:
                return Result(command, 1, stderr="sudo: a password is required\n")
            self.said.append(stdin.decode())
            password, _, stdin = stdin.partition(b"\n")
            if password.decode() != self.world.state.password:
                return Result(command, 1, stderr="Sorry, try again.\nsudo: 1 incorrect password attempt\n")
        if argv[0] == "sudo":
            argv = argv[5:] if "-S" in argv else argv[2:]
        return self._program(command, argv, stdin, wants_root)

    def _asks(self):
        return not any("NOPASSWD: ALL" in rule.read_text() for rule in self.rule.parent.iterdir())

    def _program(self, command, argv, stdin, is_root) -> Result:
        if argv[0] in PROGRAMS and argv[0] not in ELSEWHERE:  # nothing that comes with Homebrew is there
            reply = PROGRAMS[argv[0]](self.world, Call(tuple(argv), stdin=stdin, is_root=is_root))
            text = reply.stdout if isinstance(reply.stdout, str) else reply.stdout.decode()
            return Result(command, reply.exit_status, text, reply.stderr)
        environment = {"PATH": f"{self._programs}:/usr/bin:/bin", "HOME": str(self.home)}
        try:
            ended = subprocess.run(argv, input=stdin, capture_output=True, env=environment, cwd=self.home, timeout=20)
        except FileNotFoundError:
            return Result(command, 127, stderr=f"{argv[0]}: command not found")
        return Result(command, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


class Line:
    """An open connection to it."""

    def __init__(self, mac: AccountMac):
        self._mac = mac
        self.is_open = True

    def run(self, commands, then=()):
        return [self._mac.run(command) for command in (*commands, *then)]

    read = run

    def apply(self, commands, then=(), last=()):
        results = []
        for command in commands:
            results.append(self._mac.run(command))
            if not results[-1].ok:
                return results
        return results + self.run(then, last)

    def abort(self): ...
    def close(self): ...


def _bytes(stdin) -> bytes:
    return stdin.reveal().encode() if isinstance(stdin, Secret) else stdin or b""
