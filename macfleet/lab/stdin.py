"""A child's stdin that loses nothing, and takes no offence when the child does not want it all."""

from __future__ import annotations

import asyncio
import contextlib
from typing import IO


class Stdin:
    """To be given to asyncssh's `redirect` in place of the pipe itself, which may lose its last bytes.

    asyncssh writes to a pipe and says its end while asyncio empties the pipe's buffer; asyncio's `_write_ready` then closes
    behind a buffer that has just been filled again (CPython 3.11, `# May append to buffer`). A file of 4 MB arrived short about
    every second time. Here one piece is written after another, and the end comes behind the last one.
    """

    def __init__(self, writer: asyncio.StreamWriter):
        self._writer = writer

    @classmethod
    async def of(cls, pipe: IO[bytes]) -> Stdin:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
        return cls(asyncio.StreamWriter(transport, protocol, None, loop))

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
