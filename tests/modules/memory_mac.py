"""A Mac in memory: small and true. What one program changes, another one shows; nothing else about macOS is in it."""

import copy
import shlex
from dataclasses import dataclass, field
from itertools import dropwhile

from macfleet.core.errors import ConnectionDropped
from macfleet.core.fact import Facts
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Settings
from macfleet.macos import brew, defaults, ifconfig, networksetup
from macfleet.macos.files import _KEEP, _REMOVE_IF_EMPTY, WRITE
from macfleet.macos.socketfilterfw import rule
from macfleet.modules.job import _ENTER, _LEAVE, _RUN
from macfleet.modules.line import _TAKE_BACK
from macfleet.modules.runtime import _EMPTY, _UV
from macfleet.modules.tailscale import _WITH_KEY_FILE
from tests.modules.memory_files import Entry, FilePrograms
from tests.modules.memory_jobs import JobPrograms
from tests.modules.memory_network import NetworkPrograms
from tests.modules.memory_programs import OtherPrograms
from tests.modules.memory_settings import SettingPrograms

__all__ = ["MAC", "Entry", "MemoryMac"]

MAC = Mac("studio-1", "10.0.0.1", "Mac16,9", 64 * 2**30, user="fleet", settings=Settings())


# What macOS has from the start, as far as a module writes there, and where macfleet keeps its notes.
FURNISHED = {
    **{path: Entry(None, "755", "root", "wheel") for path in ("/Library", "/Library/LaunchDaemons", "/opt", "/var", "/var/db", "/etc")},
    "/var/db/macfleet": Entry(None, "755", "root", "wheel"),
    "/opt/homebrew": Entry(None, "755"),
    "/opt/homebrew/bin": Entry(None, "755"),
    "/opt/homebrew/bin/iperf3": Entry(b"", "755"),
}


@dataclass
class MemoryMac(FilePrograms, SettingPrograms, JobPrograms, NetworkPrograms, OtherPrograms):
    files: dict[str, Entry] = field(default_factory=lambda: dict(FURNISHED))
    pmset: dict[str, str] = field(
        default_factory=lambda: {
            "sleep": "1",
            "displaysleep": "10",
            "disksleep": "10",
            "womp": "1",
            "powernap": "1",
            "lowpowermode": "0",
            "tcpkeepalive": "1",
            "autorestart": "0",
            "autorestartatconnect": "0",
        }
    )
    battery: dict[str, str] = field(default_factory=dict)
    on_ups: dict[str, str] = field(default_factory=dict)
    thresholds: dict[str, str] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=lambda: {"hw.memsize": str(64 * 2**30), "iogpu.wired_limit_mb": "0"})
    defaults: dict[str, dict] = field(default_factory=dict)
    jobs: dict[str, dict] = field(default_factory=dict)  # label → {"plist": bytes, "state": …}
    services: dict[str, dict] = field(default_factory=lambda: {"Thunderbolt Bridge": {"device": "bridge0"}})
    members: list[str] = field(default_factory=lambda: ["en2", "en3"])
    talks_at: str = ""  # the address that its sshd says we came in by
    stored: dict[str, dict] = field(default_factory=lambda: {"bridge0": {"Interfaces": ["en2", "en3"]}})
    peers: dict[int, str] = field(default_factory=dict)  # receptacle → the domain UUID at the other end
    tailnet: str = "NeedsLogin"
    tailnet_settings: dict = field(default_factory=lambda: {"Hostname": "", "RunSSH": False})
    searches_updates: bool = True
    names: dict[str, str] = field(default_factory=lambda: {"ComputerName": "Mac Studio", "LocalHostName": "Mac-Studio"})
    is_indexed: bool = True
    firewall: int = 0
    let_in: dict[str, bool] = field(default_factory=dict)
    has_brew: bool = True
    disabled: frozenset[str] = frozenset()
    jobs_that_fail: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    secrets_seen: list[str] = field(default_factory=list)
    name: str = "HERE"  # of the domain UUIDs of its Thunderbolt ports
    broken: set[str] = field(default_factory=set)  # programs that end with 1
    drops_at: str = ""  # the line is lost when this is run
    sudo_asks: bool = False
    kernel: str = "Darwin"
    forgets_pmset: bool = False
    free_kib: int = 200 << 20

    def without_our_notes(self):
        """All that somebody else could find on it: not the copies that were kept, nor what was said to it."""
        notes = {"log", "secrets_seen", "files"}
        files = {path: entry for path, entry in self.files.items() if not path.startswith("/var/db/macfleet/before")}
        kept = {name: value for name, value in vars(self).items() if name not in notes}
        return {**copy.deepcopy(kept), "files": files}

    # --- a line to it

    def run(self, commands, then=()):
        return [self._run(command) for command in (*commands, *then)]

    read = run

    def apply(self, commands, then=(), last=()):
        results = []
        for command in commands:
            self.log.append(str(command))
            results.append(self._run(command))
            if not results[-1].ok:
                return results
        return results + self.run(then, last)

    def ask(self, facts):
        return Facts.understand({fact: self.run(fact.commands) for fact in facts})

    def close(self): ...

    def abort(self): ...

    def _run(self, command):
        if self.drops_at and self.drops_at in str(command):
            raise ConnectionDropped("the connection dropped before the command finished")
        stdin = command.stdin.reveal().encode() if isinstance(command.stdin, Secret) else command.stdin
        program, *words = command.argv
        if program == "env":
            program, *words = dropwhile(lambda word: "=" in word, words)
        if program in self.broken:
            return Result(command, 1, stderr=f"{program}: broken")
        answer = getattr(self, f"_{program.rsplit('/', 1)[-1].replace('-', '_')}", None)
        if answer is None:
            return Result(command, 127, stderr=f"sh: {program}: command not found")
        said = answer(words, stdin, command.sudo)
        status, text = said if isinstance(said, tuple) else (0, said)
        return Result(command, status, stdout=text if not status else "", stderr=text if status else "")

    def _sh(self, words, stdin, sudo):
        _, script, *rest = words
        if "|| exit 0\nexec " in script:  # the undo of a command of the user's own
            return self._rmdir([shlex.split(script)[-1]], None, sudo)
        _zero, *rest = rest
        if script == WRITE:
            self.files[rest[0]] = Entry(stdin, "600", *self._who(sudo))
            return ""
        if script == _WITH_KEY_FILE:
            self.secrets_seen.append(stdin.decode())
            return getattr(self, f"_{rest[0]}")(rest[1:], None, sudo)
        if script == _UV:
            return self._uv(rest[1:], None, sudo)
        return self._scripts()[script](*rest)

    def _scripts(self):
        """What each script of a module does, in a word: the scripts themselves are proved in test_scripts.py."""
        return {
            _LEAVE: self._leave,
            _ENTER: self._enter,
            _RUN: self._start,
            _TAKE_BACK: self._take_line_back,
            _KEEP: self._keep_copy,
            _REMOVE_IF_EMPTY: self._remove_if_empty,
            _EMPTY: self._empty,
            rule("").commands[0].argv[2]: self._firewall_rule,
            brew._UNINSTALL: lambda formula: self._rm([f"/opt/homebrew/opt/{formula}"], None, False),
            defaults._DELETE: self._delete_default,
            ifconfig._ADD_MEMBER: self._add_member,
            ifconfig._UP: lambda _bridge: "",
            networksetup._REMOVE: lambda service: str(self.services.pop(service, "") and ""),
        }
