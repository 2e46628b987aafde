"""The Mac's end of the UNIX socket on which its emulated programs and the lab itself talk to it.

A message is a length (4 bytes) and that many bytes. A program sends RUN, root or not, its directory and its argv, separated
by NUL; the lab sends CONTROL and JSON. Back come frames: a kind (1 byte), a length (4 bytes), the bytes.
`lab/client.py` is the other end and repeats these numbers: it may import nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from macfleet.lab import strange
from macfleet.lab.commands import PROGRAMS, reads_stdin
from macfleet.lab.world import Call, Reply, World, failed

RUN, CONTROL = b"run", b"control"
SEND_STDIN, STDOUT, STDERR, EXIT = 0, 1, 2, 3

Control = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Calls:
    """Answers one message per connection."""

    def __init__(self, world: World, save: Callable[[], None], control: Control, log: Callable[[str], None]):
        self._world = world
        self._save = save
        self._control = control
        self._log = log

    async def listen(self, path: str) -> asyncio.AbstractServer:
        return await asyncio.start_unix_server(self._answer, path)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            kind, _, rest = (await _receive(reader)).partition(b"\0")
            if kind == CONTROL:
                _send(writer, STDOUT, await self._obey(rest))
                reply = Reply()
            else:
                reply = await self._run(rest, reader, writer)
            self._send_reply(writer, reply)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the program was killed while it waited
        finally:
            writer.close()

    async def _run(self, rest: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Reply:
        root, cwd, *argv = (os.fsdecode(word) for word in rest.split(b"\0"))
        stdin = b""
        if reads_stdin(argv):
            _send(writer, SEND_STDIN, b"")
            stdin = await _receive(reader)
        return await self.run(Call(tuple(argv), stdin, root == "1", cwd))

    async def run(self, call: Call) -> Reply:
        """Run an emulated program. One that fails for a reason of ours says so, and leaves its trace in the log."""
        try:
            answer = strange.reply(self._world, call) or PROGRAMS[call.argv[0]](self._world, call)
            reply = await answer if inspect.isawaitable(answer) else answer
        except Exception as error:
            self._log(f"{' '.join(call.argv)}: {error!r}")
            return failed(f"{call.argv[0]}: the rehearsal Mac stumbled: {error!r}", 70)
        self._save()
        return reply

    async def _obey(self, text: bytes) -> bytes:
        try:
            return json.dumps({"value": await self._control(json.loads(text))}).encode()
        except Exception as error:
            self._log(f"control {text!r}: {error!r}")
            return json.dumps({"error": repr(error)}).encode()

    def _send_reply(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        stdout = reply.stdout if isinstance(reply.stdout, bytes) else reply.stdout.encode()
        if stdout:
            _send(writer, STDOUT, stdout)
        if reply.stderr:
            _send(writer, STDERR, reply.stderr.encode())
        _send(writer, EXIT, str(reply.exit_status).encode())


async def _receive(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))


def _send(writer: asyncio.StreamWriter, kind: int, payload: bytes) -> None:
    writer.write(bytes([kind]) + len(payload).to_bytes(4, "big") + payload)
