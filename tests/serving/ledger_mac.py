"""A Mac in memory that is locked, keeps a ledger, and counts the round trips that are made to it."""

import json
import shlex
from dataclasses import dataclass, field
from fnmatch import fnmatch

from macfleet.core.command import Command
from macfleet.fleet.lock import _RELEASE, _TAKE, HELD
from macfleet.macos.ledger import _STRIKE, RECORD, parse_ledger
from macfleet.serving.unprovision_mac import _KEEP_LEDGER
from tests.modules.memory_mac import Entry, MemoryMac

STATE = "/var/db/macfleet"


@dataclass
class LedgerMac(MemoryMac):
    trips: list[str] = field(default_factory=list, repr=False)
    lock: bytes | None = None
    ledger: bytes = b""
    ctrl_c_at: str = ""
    cannot_lock: bool = False
    is_full: bool = False  # nothing can be written down
    heard: list[str] = field(default_factory=list)  # locks, in the order in which they came and went
    is_wanted_by_another: bool = False  # who takes the lock as soon as it is free

    def run(self, commands, then=()):
        self.trips.append("run")
        return super().run(commands, then)

    def read(self, commands):
        self.trips.append("read")
        return super().run(commands)

    def apply(self, commands, then=(), last=()):
        self.trips.append("apply")
        results = []
        for command in commands:
            self.log.append(str(command))
            results.append(self._run(command))
            if not results[-1].ok:
                return results
        return results + super().run(then, last)

    def enrol(self, rule):
        """As `enroll` leaves a Mac."""
        self.files |= {path: Entry(b"rule", "440", "root", "wheel") for argv in rule.undo for path in argv[-1:]}
        self.files[STATE] = Entry(None, "755", "root", "wheel")
        self.ledger += json.dumps(rule.as_json()).encode() + b"\n"

    def _run(self, command):
        if self.ctrl_c_at and self.ctrl_c_at in str(command):
            raise KeyboardInterrupt
        return super()._run(command)

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
                if self.cannot_lock:
                    return 1, "mkdir: /var/db/macfleet/lock: No space left on device"
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
            case _ if script == _KEEP_LEDGER:
                self.lock = None
                self._remove_below(STATE)
                return ""
            case _ if len(words) == 2:
                return self._one_by_one(script, sudo)
        return super()._sh(words, stdin, sudo)

    def _uv(self, words, stdin, sudo):
        return (1, "uv: broken") if "uv" in self.broken else super()._uv(words, stdin, sudo)

    def _rm(self, words, stdin, sudo):
        if words[0] != "-rf":
            return super()._rm(words, stdin, sudo)
        for path in words[1:]:
            self._remove_below(path)
            self.files.pop(path, None)
            if path == STATE:
                self.lock, self.ledger = None, b""
        return ""

    def _remove_below(self, path):
        self.files = {other: entry for other, entry in self.files.items() if not other.startswith(f"{path}/")}

    def _find(self, words, stdin, sudo):
        if "du" in words:
            return ""
        if words[1:4] == ["-maxdepth", "1", "-name"]:
            return "".join(f"{path}\n" for path in sorted(self.files) if fnmatch(path, f"{words[0]}/{words[4]}"))
        return super()._find(words, stdin, sudo)

    def _launchctl(self, words, stdin, sudo):
        if words[0] == "bootout":
            self.jobs.pop(words[1].removeprefix("system/"), None)
            return ""
        return super()._launchctl(words, stdin, sudo)

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
