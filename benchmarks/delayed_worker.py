"""A worker whose previous rank reaches it through a delay: what a slow network between the stages costs.

    python benchmarks/delayed_worker.py MILLISECONDS CONFIG

The proxy forwards bytes in order, each piece so many milliseconds after it came, both ways: latency, not a limit of bandwidth.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque

from macfleet.worker import process
from macfleet.worker.config import WorkerConfig
from macfleet.worker.process import main
from macfleet.worker.runner import Inbox
from macfleet.worker.tcp import TcpLink


class DelayProxy:
    """Listens on a port of the kernel's choice, in a thread of its own."""

    def __init__(self, host: str, port: int, delay_s: float):
        self._target, self._delay_s = (host.strip("[]"), port), delay_s
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._forward, "127.0.0.1", 0), self._loop).result()
        self.port: int = server.sockets[0].getsockname()[1]

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        await asyncio.gather(self._pipe(reader, there_writer), self._pipe(there_reader, writer), return_exceptions=True)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting: deque[tuple[float, bytes]] = deque()
        arrived = asyncio.Event()

        async def deliver() -> None:
            while True:
                while not waiting:
                    arrived.clear()
                    await arrived.wait()
                due, data = waiting.popleft()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        while True:
            data = await reader.read(1 << 16)
            waiting.append((self._loop.time() + self._delay_s, data))
            arrived.set()
            if not data:
                await delivering
                return


def delayed(delay_s: float) -> None:
    """From now on this process tells its previous rank the proxy's address instead of its own."""

    def make_link(config: WorkerConfig, inbox: Inbox) -> TcpLink:
        link = TcpLink(config, inbox.put)
        assert link.endpoint is not None
        host, _, port = link.endpoint.removeprefix("tcp://").rpartition(":")
        link.endpoint = f"tcp://127.0.0.1:{DelayProxy(host, int(port), delay_s).port}"
        return link

    process.make_link = make_link


if __name__ == "__main__":
    delayed(float(sys.argv[1]) / 1000)
    raise SystemExit(main(sys.argv[2:]))
