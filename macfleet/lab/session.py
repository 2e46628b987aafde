"""One shell behind one SSH channel: bytes between the channel and the process, both ways, nothing lost and nothing piled up.

asyncssh can connect a process to a channel by itself, but then what is sent to the process may lose its end: asyncio closes a
pipe behind a buffer that was filled again while it was emptied (CPython 3.11, `# May append to buffer` in `_write_ready`). A
file of 4 MB arrived short about every second time. A rehearsal of staging weights needs better.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable

import asyncssh

from macfleet.lab.processes import Child

PIECE = 1 << 16
# What may wait for a process that does not read before the client is told to wait as well.
MOST_WAITING = 1 << 20

Signal = Callable[[int, int], None]


class Streams:
    """The lab's ends of a process's stdin, stdout and stderr. On a terminal, stdin and stdout are one; stderr is None."""

    def __init__(self, stdin: int, stdout: int, stderr: int | None):
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        for descriptor in (stdin, stdout, stderr):
            if descriptor is not None:
                os.set_blocking(descriptor, False)


class ShellSession(asyncssh.SSHServerSession[bytes]):
    """Like OpenSSH's: the end of the shell is reported when its output has ended, and a cut connection does not end it."""

    def __init__(self, start: Callable[[ShellSession], tuple[Child, Streams]], signal_group: Signal):
        self._start = start
        self._signal_group = signal_group
        self.command: str | None = None
        self.terminal: tuple[str, int, int] | None = None  # its type, columns, rows

    # --- what the client asks for

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self.channel = chan

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: object) -> bool:
        self.terminal = (term_type, term_size[0], term_size[1])
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self.command = command
        return True

    def session_started(self) -> None:
        try:
            self._child, streams = self._start(self)
        except OSError as error:
            self.channel.write_stderr(f"{error}\n".encode())
            self.channel.exit(255)
            return
        self._input = Input(streams.stdin, self.channel)
        self._outputs = {streams.stdout: None, **({} if streams.stderr is None else {streams.stderr: asyncssh.EXTENDED_DATA_STDERR})}
        self._open = set(self._outputs)
        self.resume_writing()
        self._child.ended.add_done_callback(lambda _: self._end_if_over())

    # --- from the client to the process

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._input.write(data)

    def eof_received(self) -> bool:
        self._input.close()
        return True  # the other direction goes on

    def signal_received(self, name: str) -> None:
        number = getattr(signal, f"SIG{name}", None)
        if number is not None:
            self._signal_group(self._child.pid, number)

    # --- from the process to the client

    def pause_writing(self) -> None:
        for descriptor in self._open:
            asyncio.get_running_loop().remove_reader(descriptor)

    def resume_writing(self) -> None:
        for descriptor in self._open:
            asyncio.get_running_loop().add_reader(descriptor, self._read, descriptor)

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, PIECE)
        except BlockingIOError:
            return
        except OSError:  # Linux says EIO when the last process has left the terminal
            data = b""
        if not data:
            self._close_output(descriptor)
            return
        with contextlib.suppress(OSError):  # nobody listens any more
            self.channel.write(data, self._outputs[descriptor])

    def _close_output(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        self._open.discard(descriptor)
        os.close(descriptor)
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._open or not self._child.ended.done() or self.channel.is_closing():
            return
        status = self._child.ended.result()
        if status < 0:
            self.channel.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            self.channel.exit(status)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process stays, but its pipes break: it notices when it next reads or writes."""
        if hasattr(self, "_input"):
            self._input.abandon()
            for descriptor in list(self._open):
                self._close_output(descriptor)


class Input:
    """A process's stdin. Keeps what the pipe does not take yet, and tells the channel to wait when that is much."""

    def __init__(self, descriptor: int, channel: asyncssh.SSHServerChannel[bytes]):
        self._descriptor: int | None = descriptor
        self._channel = channel
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._is_ending = False

    def write(self, data: bytes) -> None:
        if self._descriptor is None:
            return  # the process has closed its stdin; ssh does not mind
        self._waiting.append(data)
        self._size += len(data)
        if len(self._waiting) == 1:
            self._flush()
        if self._size > MOST_WAITING:
            self._channel.pause_reading()

    def close(self) -> None:
        """End of input, behind all that waits."""
        self._is_ending = True
        if not self._waiting:
            self.abandon()

    def abandon(self) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        self._waiting.clear()
        self._size = 0

    def _flush(self) -> None:
        assert self._descriptor is not None
        try:
            while self._waiting:
                written = os.write(self._descriptor, self._waiting[0])
                self._size -= written
                rest = self._waiting.popleft()[written:]
                if rest:
                    self._waiting.appendleft(rest)
        except BlockingIOError:
            asyncio.get_running_loop().add_writer(self._descriptor, self._flush)
        except OSError:
            self.abandon()
        else:
            asyncio.get_running_loop().remove_writer(self._descriptor)
            if self._is_ending:
                self.abandon()
        if self._size <= MOST_WAITING // 2:
            self._channel.resume_reading()
