"""Many commands as one script, and its one answer as many results. Pure.

The script comes to the Mac by stdin, never by argv: payloads, secrets among them, are words inside it and reach their
command through a pipe. It answers on stdout and stderr, each cut by marker lines that start with a nonce:

    NONCE begin
    …bytes of command 0…NONCE 0 EXIT_STATUS|lost done|timeout|stuck TICKS
    …
    NONCE end

The bytes between two markers are the command's own, whatever they are. On stdout, bash says a command's exit status among them
too (`NONCE 0 EXIT_STATUS`): that line counts where the shell has lost the status, and is nobody's bytes (shell.py says why).
What stands before `begin` is a login shell's chatter.
"""

from __future__ import annotations

import base64
import math
import secrets
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from macfleet.core.command import Command
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.fleet.lanes import READING, share_out
from macfleet.fleet.shell import FUNCTIONS, PREPARE

TICK_S = 0.5  # how exactly the Mac keeps a command's deadline
GRACE_TICKS = 4  # between SIGTERM and SIGKILL, and again until a process that does not even die is left behind


class Manner(Enum):
    """How the commands of one script follow each other."""

    IN_ORDER = "in order"
    STOP_AT_FAILURE = "stop at the first failure"
    SIDE_BY_SIDE = "side by side"
    ENDLESS = "one, without a deadline"


@dataclass(frozen=True)
class Script:
    """The text for `sh`, and the nonce by which its answer is understood."""

    commands: tuple[Command, ...]
    manner: Manner
    text: bytes = field(repr=False)  # may hold a secret
    nonce: bytes
    strict: int = 1 << 30  # how many of the commands change something; those behind them only look

    @property
    def bootstrap(self) -> str:
        """What the exec request says: read the script from stdin, leave stdin open behind it, then run it.

        `eval "$(head)"` because bash reads a script on stdin byte by byte, and because stdin then still tells when the line ends.
        """
        lines = self.text.count(b"\n")
        return f"exec /bin/sh -c 'eval \"$(head -n {lines})\"'"

    @property
    def deadline_s(self) -> float | None:
        """When the Mac's own deadlines must have ended it, whatever its commands do. None: it has no end."""
        if self.manner is Manner.ENDLESS:
            return None
        return sum(command.timeout_s + 3 * GRACE_TICKS * TICK_S for command in self.commands) + 30.0


def render_script(
    commands: Sequence[Command],
    manner: Manner = Manner.IN_ORDER,
    *,
    search_path: Sequence[str] = (),
    tick_s: float = TICK_S,
    strict: int | None = None,
    looks: range | None = None,
) -> Script:
    """The script that runs `commands` on a Mac whose own PATH is extended by `search_path`.

    `strict`: behind so many commands the script no longer stops at a failure. `looks`: these, further behind, go side by side.
    """
    if looks is None:
        looks = range(len(commands)) if manner is Manner.SIDE_BY_SIDE else range(0)
    nonce = "macfleet-" + secrets.token_hex(16)
    extension = "".join(f":{path}" for path in search_path)
    rendered = [_render_command(index, command, manner, tick_s) for index, command in enumerate(commands)]
    lines = (
        f"n={nonce} tick={tick_s} grace={GRACE_TICKS} stop={1 if manner is Manner.STOP_AT_FAILURE else ''} run=mf_run",
        f'PATH="$PATH"{shlex.quote(extension)}' if extension else ":",
        FUNCTIONS.strip(),
        *_stages(commands, rendered, looks if len(looks) > 1 else range(0), len(commands) if strict is None else strict),
        "mf_end",
        "",
    )
    script = Script(tuple(commands), manner, "\n".join(lines).encode(errors="surrogateescape"), nonce.encode())
    return script if strict is None else replace(script, strict=strict)


def _stages(commands: Sequence[Command], rendered: Sequence[str], looks: range, strict: int) -> Iterator[str]:
    """One after another, side by side, one after another again; what is empty is left out."""
    lanes = [[looks[index] for index in lane] for lane in share_out([commands[index] for index in looks])]
    before, after = (rendered[: looks.start], rendered[looks.stop :]) if looks else (rendered, [])
    if lanes:
        yield READING.strip()
    yield PREPARE.strip()
    if before:
        yield _function("mf_before", [*before[:strict], "stop=", *before[strict:]])
        yield "mf_one_by_one mf_before"
    if lanes:
        numbers = range(1, len(lanes) + 1)
        yield from (
            _function(f"mf_looks_{number}", [rendered[index] for index in lane]) for number, lane in zip(numbers, lanes, strict=True)
        )
        yield _function("mf_looks", [f"mf_looks_{number}" for number in numbers])
        yield f"stop= lanes='{' '.join(map(str, numbers))}'"
        yield "mf_side_by_side"
    if after:
        yield _function("mf_after", after)
        yield "mf_one_by_one mf_after"


def _function(name: str, lines: Sequence[str]) -> str:
    return "\n".join((f"{name}() {{", ":", *lines, "}"))


def _render_command(index: int, command: Command, manner: Manner, tick_s: float) -> str:
    # One tick more: the first one comes at any moment of the command's first half second.
    limit = 0 if manner is Manner.ENDLESS else max(1, math.ceil(command.timeout_s / tick_s)) + 1
    run = f"$run {index} {limit} {'1' if command.sudo else chr(39) * 2} {command.shell()}"
    if command.stdin is None:
        return run
    return f"{_render_payload(command.stdin)}\n{run}\ncoding= payload="


def _render_payload(stdin: bytes | Secret) -> str:
    """Plain text stays itself, everything else is base64: a shell variable cannot hold a NUL, bash 3.2 also trips over \\001."""
    data = stdin.reveal().encode() if isinstance(stdin, Secret) else stdin
    if all(32 <= byte < 127 or byte in b"\n\t" for byte in data):
        return f"coding=plain payload={shlex.quote(data.decode())}"
    return f"coding=base64 payload='{base64.encodebytes(data).decode()}'"


@dataclass(frozen=True)
class Reply:
    """What one command answered, as bytes."""

    index: int
    exit_status: int | None
    stdout: bytes
    stderr: bytes
    reason: str = ""
    ticks: int = 0

    def result(self, command: Command, duration_s: float) -> Result:
        return Result(
            command=command,
            exit_status=self.exit_status,
            stdout=self.stdout.decode(errors="replace"),
            stderr=self.stderr.decode(errors="replace"),
            duration_s=duration_s,
            reason=self.reason,
        )


class Answer:
    """Understands a script's answer while it comes in. Feed it the bytes of both streams, in pieces of any size."""

    def __init__(self, script: Script):
        self._script = script
        self._stdout = _Stream(script.nonce)
        self._stderr = _Stream(script.nonce)

    def feed(self, *, stdout: bytes = b"", stderr: bytes = b"") -> list[Reply]:
        """The replies that these bytes completed: a reply is complete when both its streams are."""
        before = self._stdout.segments.keys() & self._stderr.segments.keys()
        self._stdout.feed(stdout)
        self._stderr.feed(stderr)
        return [self._reply(index) for index in sorted((self._stdout.segments.keys() & self._stderr.segments.keys()) - before)]

    @property
    def has_begun(self) -> bool:
        return self._stdout.has_begun and self._stderr.has_begun

    @property
    def is_complete(self) -> bool:
        return self._stdout.has_ended and self._stderr.has_ended

    @property
    def rest(self) -> tuple[bytes, bytes]:
        """What came behind the last marker: the words of a shell that did not run the script, or of a command under way."""
        return self._stdout.rest, self._stderr.rest

    def _reply(self, index: int) -> Reply:
        stdout, marker = self._stdout.segments[index]
        stderr, _ = self._stderr.segments[index]
        how, ticks = marker[2].decode(), int(marker[3])
        if how == "done":
            status = self._stdout.statuses.get(index) if marker[1] == b"lost" else int(marker[1])
            reason = "has ended, but was killed before it could say how" if status is None else ""
            return Reply(index, status, stdout, stderr, reason=reason, ticks=ticks)
        timeout_s = self._script.commands[index].timeout_s
        reason = f"was stopped: not done after its {timeout_s:g} s"
        if how == "stuck":
            reason = f"hangs: not done after its {timeout_s:g} s, and not even SIGKILL ends it"
        return Reply(index, None, stdout, stderr, reason=reason, ticks=ticks)


class _Stream:
    """One of the two streams, cut at its markers."""

    def __init__(self, nonce: bytes):
        self._marker = nonce + b" "
        self._pending = bytearray()
        self._searched = 0
        self.segments: dict[int, tuple[bytes, list[bytes]]] = {}
        self.statuses: dict[int, int] = {}  # what the commands said themselves
        self.has_begun = False
        self.has_ended = False

    def feed(self, data: bytes) -> None:
        self._pending += data
        while self._cut():
            pass

    @property
    def rest(self) -> bytes:
        return bytes(self._pending)

    def _cut(self) -> bool:
        start = self._pending.find(self._marker, self._searched)
        if start < 0:
            self._searched = max(0, len(self._pending) - len(self._marker))
            return False
        end = self._pending.find(b"\n", start)
        if end < 0:
            self._searched = start
            return False
        words = bytes(self._pending[start + len(self._marker) : end]).split()
        if len(words) == 2:  # among a command's bytes, and no end of them
            self.statuses.setdefault(int(words[0]), int(words[1]))
            del self._pending[start : end + 1]
            self._searched = start
            return True
        segment = bytes(self._pending[:start])
        del self._pending[: end + 1]
        self._searched = 0
        self._understand(words, segment)
        return True

    def _understand(self, words: list[bytes], segment: bytes) -> None:
        match words:
            case [b"begin"]:
                self.has_begun = True  # and what stood before it is nobody's answer
            case [b"end"]:
                self.has_ended = True
            case [index, _, _, _]:
                self.segments[int(index)] = (segment, words)
