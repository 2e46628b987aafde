"""A Mac in memory that is locked, keeps a ledger, and counts the round trips that are made to it."""

import json
import shlex
from dataclasses import dataclass, field

from macfleet.core.command import Command
from macfleet.fleet.lock import _RELEASE, _TAKE, HELD
from macfleet.macos.ledger import _STRIKE, RECORD, parse_ledger
from tests.modules.memory_mac import Entry, MemoryMac

STATE = "/var/db/macfleet"


@dataclass
class LedgerMac(MemoryMac):
    trips: list[str] = field(default_factory=list, repr=False)
    lock: bytes | None = None
    ledger: bytes = b""
    is_full: bool = False  # nothing can be written down
    heard: list[str] = field(default_factory=list)  # locks, in the order in which they came and went
    is_wanted_by_another: bool = False  # who takes the lock as soon as it is free

    def run(self, commands):
        self.trips.append("run")
        return super().run(commands)

    def read(self, commands):
        self.trips.append("read")
        return super().run(commands)

    def apply(self, commands, then=()):
        self.trips.append("apply")
        results = []
        for command in commands:
            self.log.append(str(command))
            results.append(self._run(command))
            if not results[-1].ok:
                return results
        return results + super().run(then)

    def entries(self):
        return parse_ledger(self.ledger.decode())

    def _cat(self, words, stdin, sudo):
        match words[0]:
            case "/var/db/macfleet/ledger.jsonl" if self.ledger:
                return self.ledger.decode()
            case "/var/db/macfleet/lock/owner.json" if self.lock is not None:
                return self.lock.decode()
        return super()._cat(words, stdin, sudo)

    def _sh(self, words, stdin, sudo):
        script, arguments = words[1], words[3:]
        match script:
            case _ if script == _TAKE:
                if self.lock is not None:
                    return HELD, ""
                self.lock = stdin
                self.heard.append("taken")
                return ""
            case _ if script == _RELEASE:
                if self.lock and json.loads(self.lock).get("token") == arguments[1]:
                    self.lock = None
                    self.heard.append("released")
                    if self.is_wanted_by_another:
                        self.lock = b'{"token": "of somebody else"}'
                return ""
            case _ if script == RECORD:
                if self.is_full:
                    return 1, "cat: stdout: No space left on device"
                self.files.setdefault(STATE, Entry(None, "755", "root", "wheel"))
                self.ledger += stdin
                return ""
            case _ if script == _STRIKE:
                self.ledger += arguments[1].encode() + b"\n"
                return ""
            case _ if " && " in script and len(words) == 2:
                return self._one_by_one(script, sudo)
        return super()._sh(words, stdin, sudo)

    def _uv(self, words, stdin, sudo):
        return (1, "uv: broken") if "uv" in self.broken else super()._uv(words, stdin, sudo)

    def _sudo(self, words, stdin, sudo):
        if "-u" in words:
            return super()._sudo(words, stdin, sudo)
        return (1, "sudo: a password is required") if self.sudo_asks else ""

    def _one_by_one(self, script, sudo):
        """`a && b && c`, as `take_back` writes it."""
        lexer = shlex.shlex(script, posix=True, punctuation_chars="&")
        lexer.whitespace_split = True
        lexer.commenters = ""
        line, steps = list(lexer), [[]]
        for word in line:
            if word == "&&":
                steps.append([])
            else:
                steps[-1].append(word)
        for step in steps:
            is_root = step[:2] == ["sudo", "-n"]
            result = self._run(Command(tuple(step[2:] if is_root else step), sudo=is_root or sudo))
            if not result.ok:
                return result.exit_status, result.stderr
        return ""
