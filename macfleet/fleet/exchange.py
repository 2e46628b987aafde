"""One script over one channel: sent to the bootstrap that waits there, and its answer understood while it comes.

Knows a channel only by what it can do, so that only `ssh.py` knows the library.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Protocol

from macfleet.fleet.script import Answer, Reply, Script

CHUNK = 1 << 16
QUIET_S = 10.0  # silence after which the line is asked whether it is still there


class Channel(Protocol):
    """What is used of `paramiko.Channel`."""

    def sendall(self, s: bytes) -> object: ...
    def settimeout(self, timeout: float | None) -> object: ...
    def fileno(self) -> int: ...
    def recv_ready(self) -> bool: ...
    def recv(self, nbytes: int) -> bytes: ...
    def recv_stderr_ready(self) -> bool: ...
    def recv_stderr(self, nbytes: int) -> bytes: ...
    def exit_status_ready(self) -> bool: ...
    def recv_exit_status(self) -> int: ...
    def shutdown_write(self) -> object: ...
    def close(self) -> object: ...


class Incomplete(Exception):
    """The answer ended before its end marker; `replies` are those that had come whole."""

    def __init__(self, replies: dict[int, Reply], why: str):
        super().__init__(why)
        self.replies = replies
        self.why = why


def converse(
    channel: Channel,
    script: Script,
    *,
    on_reply: Callable[[Reply, float], None],
    ask_alive: Callable[[], None],
    on_stdout: Callable[[bytes], None] | None = None,
    quiet_s: float = QUIET_S,
) -> dict[int, Reply]:
    """Replies by index. `on_reply` hears each at once, with the seconds since the one before.

    `ask_alive` is called after each `quiet_s` of silence and raises when the line is dead. With `on_stdout` the raw stdout
    goes there as well. Raises Incomplete when the channel ends too early.
    """
    send(channel, script.text)
    answer, replies = Answer(script), dict[int, Reply]()
    start = last = time.monotonic()
    while not answer.is_complete:
        stdout, stderr = read_some(channel, quiet_s)
        if not stdout and not stderr:
            if has_ended(channel):
                raise Incomplete(replies, _last_words(channel, answer))
            ask_alive()
            if script.deadline_s is not None and time.monotonic() - start > script.deadline_s:
                raise Incomplete(replies, f"no answer after {script.deadline_s:.0f} s, though every command in it ends earlier")
            continue
        if on_stdout is not None and stdout:
            on_stdout(stdout)
        for reply in answer.feed(stdout=stdout, stderr=stderr):
            replies[reply.index] = reply
            now = time.monotonic()
            on_reply(reply, now - last)
            last = now
    return replies


def send(channel: Channel, data: bytes) -> bool:
    """False when the far end has stopped reading: what it says, and its exit status, tell why."""
    try:
        channel.sendall(data)
    except TimeoutError:
        raise
    except OSError:
        return False
    return True


def read_some(channel: Channel, timeout_s: float) -> tuple[bytes, bytes]:
    """What is there of stdout and stderr; both empty when the channel has ended or nothing came in time."""
    if not channel.recv_ready() and not channel.recv_stderr_ready() and not has_ended(channel):
        # The channel's own descriptor becomes readable for either stream, and stays so at the end of the channel.
        poll = select.poll()
        poll.register(channel.fileno(), select.POLLIN)
        poll.poll(timeout_s * 1000)
    return (
        channel.recv(CHUNK) if channel.recv_ready() else b"",
        channel.recv_stderr(CHUNK) if channel.recv_stderr_ready() else b"",
    )


def has_ended(channel: Channel) -> bool:
    """Nothing more will come, and nothing that came is still unread."""
    ended = bool(getattr(channel, "closed", False)) or bool(getattr(channel, "eof_received", False))
    return ended and not channel.recv_ready() and not channel.recv_stderr_ready()


def _last_words(channel: Channel, answer: Answer) -> str:
    status = _exit_status(channel)
    if answer.has_begun or status == -1:
        return ""
    said = b" ".join(answer.rest).decode(errors="replace").strip()
    return f"its login shell ended with {status} instead of running `sh`" + (f": {said}" if said else "")


def _exit_status(channel: Channel) -> int:
    """-1 when there is none. sshd sends it a moment behind the end of the output; a dead line never does."""
    end = time.monotonic() + 2.0
    while not channel.exit_status_ready() and not getattr(channel, "closed", False) and time.monotonic() < end:
        time.sleep(0.01)
    return channel.recv_exit_status() if channel.exit_status_ready() else -1
