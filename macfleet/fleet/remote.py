"""A `Connection` over a line: scripts, files, tunnels. Knows no SSH library; `ssh.py` brings the line."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from macfleet.core.command import Command, command
from macfleet.core.errors import CommandFailed, ConnectionDropped, MacfleetError
from macfleet.core.result import Result
from macfleet.fleet.exchange import QUIET_S, Channel, Incomplete, converse, has_ended, read_some, send
from macfleet.fleet.lines import Lines
from macfleet.fleet.script import TICK_S, Manner, Reply, Script, render_script
from macfleet.fleet.tunnel import Tunnel
from macfleet.inventory.mac import Mac

PATIENCE_S = 20.0  # how long a silent Mac may take to answer "are you there"
STALL_S = 60.0  # how long the Mac may take not one more byte
CHUNK = 1 << 18
NEW = ".macfleet-new"  # behind the name of a file that is still on its way
DIGEST_S = 3600.0  # half a terabyte at the speed of the slowest SSD

OnResult = Callable[[Result], None]


class Line(Protocol):
    """An open, authenticated line to a Mac. Every failure is an OSError or EOFError."""

    def execute(self, command: str) -> Channel:
        """A channel on which the login shell of the Mac runs `command`."""
        ...

    def open_direct(self, host: str, port: int) -> Any: ...
    def ask(self) -> None:
        """Returns when the far end has answered anything at all."""

    @property
    def is_open(self) -> bool: ...
    def close(self) -> None: ...


class RemoteConnection:
    """One line to one Mac, used for all that a run has to do there. See `Connection` for the promises.

    `channels_opened` counts what it cost: one for each read, run or apply.
    """

    def __init__(
        self, mac: Mac, line: Line, *, on_result: OnResult | None = None, quiet_s: float = QUIET_S, patience_s: float = PATIENCE_S
    ):
        self.mac = mac
        self.channels_opened = 0
        self._line = line
        self._on_result = on_result
        self._quiet_s, self._patience_s = quiet_s, patience_s
        self._under_way: set[Channel] = set()
        self._lock = threading.Lock()

    def run(self, commands: Sequence[Command], then: Sequence[Command] = ()) -> list[Result]:
        return self._staged(commands, then, (), Manner.IN_ORDER)

    def read(self, commands: Sequence[Command]) -> list[Result]:
        return self._staged((), commands, (), Manner.SIDE_BY_SIDE)

    def apply(self, commands: Sequence[Command], then: Sequence[Command] = (), last: Sequence[Command] = ()) -> list[Result]:
        return self._staged(commands, then, last, Manner.STOP_AT_FAILURE)

    def put(
        self, source: bytes | Path | Iterable[bytes], path: str, *, mode: int = 0o644, owner: str | None = None, sudo: bool = False
    ) -> None:
        temporary = f"{path}{NEW}"
        try:
            sent = self._stream(source, temporary, sudo=sudo)
            arrived = self._ok(
                command("shasum", "-a", "256", temporary, sudo=sudo, timeout_s=DIGEST_S),
                command("chmod", f"{mode:o}", temporary, sudo=sudo),
                *((command("chown", owner, temporary, sudo=sudo),) if owner else ()),
            )[0].stdout.split(" ")[0]
            if arrived != sent:
                raise self._damaged(path, sent, arrived)
            self._ok(command("mv", "-f", temporary, path, sudo=sudo))
        except BaseException:  # also Ctrl-C, also a source that could not be read to its end
            if self.is_open:
                with contextlib.suppress(MacfleetError):  # the reason is worth more than what is left
                    self.run([command("rm", "-f", temporary, sudo=sudo)])
            raise

    def get(self, path: str, *, sudo: bool = False) -> bytes:
        cat = command("cat", path, sudo=sudo, timeout_s=DIGEST_S)
        reply = self._converse([cat], Manner.IN_ORDER)[0]
        if reply.exit_status != 0:
            raise CommandFailed(reply.result(cat, 0.0).failure(), mac=self.mac.name)
        return reply.stdout

    def follow(self, command: Command, on_line: Callable[[str], None]) -> Result:
        """Runs until the command ends by itself, `on_line` raises, or `abort`: then it is stopped on the Mac."""
        start = time.monotonic()
        reply = self._converse([command], Manner.ENDLESS, on_line=on_line)[0]
        return reply.result(command, time.monotonic() - start)

    @contextlib.contextmanager
    def tunnel(self, port: int, host: str = "127.0.0.1") -> Iterator[int]:
        tunnel = Tunnel(lambda: self._line.open_direct(host, port))
        try:
            yield tunnel.port
        finally:
            tunnel.close()

    @property
    def is_open(self) -> bool:
        return self._line.is_open

    def abort(self) -> None:
        """Ends what is under way and leaves the line open: a command whose channel closes is stopped on the Mac."""
        with self._lock:
            channels = tuple(self._under_way)
        for channel in channels:
            with contextlib.suppress(OSError, EOFError):
                channel.close()

    def close(self) -> None:
        self._line.close()

    def _staged(self, commands: Sequence[Command], then: Sequence[Command], last: Sequence[Command], manner: Manner) -> list[Result]:
        """`then` goes side by side, if it comes to that."""
        whole, looks = (*commands, *then, *last), range(len(commands), len(commands) + len(then))
        results = self._results(whole, manner, strict=len(commands), looks=looks)
        missing = [index for index in looks if index not in results]
        has_looked = manner is not Manner.STOP_AT_FAILURE or all(index in results and results[index].ok for index in range(len(commands)))
        if missing and has_looked:
            # Side by side needs a temporary directory; a full disk swallows answers there. One after another needs none.
            again = self.run([whole[index] for index in missing])
            results.update(zip(missing, again, strict=True))
        return [results[index] for index in sorted(results)]

    def _results(self, commands: Sequence[Command], manner: Manner, *, strict: int, looks: range) -> dict[int, Result]:
        results: dict[int, Result] = {}

        def note(reply: Reply, seconds: float) -> None:
            # Side by side all replies arrive together: there the Mac's own ticks say more.
            took_s = reply.ticks * TICK_S if reply.index in looks else seconds
            results[reply.index] = reply.result(commands[reply.index], took_s)
            if self._on_result is not None:
                self._on_result(results[reply.index])

        if commands:
            self._converse(commands, manner, on_reply=note, strict=strict, looks=looks)
        return results

    def _converse(
        self,
        commands: Sequence[Command],
        manner: Manner,
        *,
        on_reply: Callable[[Reply, float], None] = lambda reply, seconds: None,
        on_line: Callable[[str], None] | None = None,
        strict: int | None = None,
        looks: range | None = None,
    ) -> dict[int, Reply]:
        script = render_script(commands, manner, search_path=self.mac.paths.search_path, strict=strict, looks=looks)
        replies: dict[int, Reply] = {}

        def keep(reply: Reply, seconds: float) -> None:
            replies[reply.index] = reply
            on_reply(reply, seconds)

        try:
            with self._channel(script.bootstrap) as channel:
                converse(
                    channel,
                    script,
                    on_reply=keep,
                    ask_alive=self._ask_alive,
                    on_stdout=Lines(script.nonce, on_line).feed if on_line else None,
                    quiet_s=self._quiet_s,
                )
        except (Incomplete, OSError, EOFError) as error:
            raise self._dropped(script, replies, str(error)) from error
        return replies

    def _dropped(self, script: Script, replies: dict[int, Reply], why: str) -> ConnectionDropped:
        ended = [f"`{script.commands[index]}` had ended with {reply.exit_status}" for index, reply in sorted(replies.items())]
        open_ones = [each for index, each in enumerate(script.commands) if index not in replies]
        if script.manner is Manner.SIDE_BY_SIDE:
            return self._lost("the connection dropped while the Mac was read", why, ["reading changes nothing"])
        if not open_ones or len(replies) >= script.strict:
            return self._lost("the connection dropped behind the last command", why, ended)
        doubt = f"nobody knows whether `{open_ones[0]}` took effect"
        rest = [f"{len(open_ones) - 1} more were not started"] if len(open_ones) > 1 else []
        return self._lost(f"the connection dropped before `{open_ones[0]}` finished", why, [*ended, doubt, *rest])

    def _lost(self, what: str, why: str, truths: Iterable[str]) -> ConnectionDropped:
        return ConnectionDropped(
            what + (f": {why}" if why else ""),
            mac=self.mac.name,
            truths=tuple(truths),
            hint="see that the Mac is up, then run the same command again",
        )

    def _ok(self, *commands: Command) -> list[Result]:
        results = self.apply(commands)
        if not results[-1].ok:
            raise CommandFailed(results[-1].failure(), mac=self.mac.name)
        return results

    def _stream(self, source: bytes | Path | Iterable[bytes], path: str, *, sudo: bool) -> str:
        """Write `source` to a new file that only its owner can read; the SHA-256 of what was sent."""
        write = Command(("sh", "-c", 'umask 077 && cat >"$1"', "sh", path), sudo=sudo)
        digest = hashlib.sha256()
        try:
            with self._channel("exec /bin/sh -c " + shlex.quote(f"LC_ALL=C; export LC_ALL; exec {write.shell()}")) as channel:
                channel.settimeout(STALL_S)
                for chunk in _chunks(source):
                    digest.update(chunk)
                    if not send(channel, chunk):
                        break
                status, stderr = self._end_of(channel)
        except (OSError, EOFError) as error:
            raise self._lost(*_while_sent(path, str(error))) from error
        if status == -1:
            raise self._lost(*_while_sent(path, ""))
        if status != 0:
            raise CommandFailed(Result(write, status, stderr=stderr.decode(errors="replace")).failure(), mac=self.mac.name)
        return digest.hexdigest()

    def _end_of(self, channel: Channel) -> tuple[int, bytes]:
        with contextlib.suppress(OSError):
            channel.shutdown_write()
        said = b""
        while not has_ended(channel):
            stdout, stderr = read_some(channel, self._quiet_s)
            said += stdout + stderr
            if not stdout and not stderr and not has_ended(channel):
                self._ask_alive()
        return channel.recv_exit_status(), said

    def _damaged(self, path: str, sent: str, arrived: str) -> CommandFailed:
        return CommandFailed(
            f"{path} did not arrive as it was sent",
            mac=self.mac.name,
            truths=(f"SHA-256 sent {sent}, arrived {arrived}", f"{path} is as it was"),
            hint="check the Mac's disk, then run the same command again",
        )

    @contextlib.contextmanager
    def _channel(self, command: str) -> Iterator[Channel]:
        channel = self._line.execute(command)
        with self._lock:
            self.channels_opened += 1
            self._under_way.add(channel)
        try:
            yield channel
        finally:
            with self._lock:
                self._under_way.discard(channel)
            channel.close()

    def _ask_alive(self) -> None:
        """A Mac that went away without a word is noticed here: TCP alone would wait for hours."""
        answered = threading.Event()

        def ask() -> None:
            with contextlib.suppress(OSError, EOFError):
                self._line.ask()
                answered.set()

        threading.Thread(target=ask, name=f"alive-{self.mac.name}", daemon=True).start()
        if not answered.wait(self._patience_s):
            self._line.close()
            raise OSError(f"the Mac has said nothing for {self._quiet_s + self._patience_s:.0f} s")


def _while_sent(temporary: str, why: str) -> tuple[str, str, list[str]]:
    path = temporary.removesuffix(NEW)
    return f"the connection dropped while {path} was sent", why, [f"{path} is as it was"]


def _chunks(source: bytes | Path | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(source, bytes):
        for start in range(0, len(source), CHUNK):
            yield source[start : start + CHUNK]
        return
    if not isinstance(source, Path):
        yield from source
        return
    with source.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
