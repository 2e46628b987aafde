"""A local port that leads through a connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

OpenChannel = Callable[[], Any]  # a fresh channel to the far end; raises OSError when the Mac refuses


class Tunnel:
    """Listens on 127.0.0.1, on a port from the kernel, and carries each connection through a channel of its own."""

    def __init__(self, open_channel: OpenChannel):
        self._open_channel = open_channel
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: set[Any] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name=f"tunnel-{self.port}", daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            ends = tuple(self._ends)
        # shutdown wakes the thread in accept(); close alone does not on Linux.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in ends:
            _close(end)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            channel = self._open_channel()
        except OSError:
            client.close()  # the far port is closed: the client sees its connection end, as it would there
            return
        with self._lock:
            self._ends |= {client, channel}
            is_closed = self._is_closed
        if not is_closed:
            upward = threading.Thread(target=_pump, args=(client, channel), daemon=True)
            upward.start()
            _pump(channel, client)
            upward.join()
        for end in (client, channel):
            _close(end)
        with self._lock:
            self._ends -= {client, channel}


def _pump(source: Any, sink: Any) -> None:
    """Everything from one end to the other, then the end of it."""
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_WR)


def _close(end: Any) -> None:
    with contextlib.suppress(OSError, EOFError):
        end.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError, EOFError):
        end.close()
