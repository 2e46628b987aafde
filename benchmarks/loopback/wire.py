"""Misfortunes of the wire: a round trip of so many milliseconds, and a Mac that takes the connection and never says a word."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass
class Wire:
    """Leads to a Mac. `round_trips`: how often the near side spoke when the far side had just spoken, or began."""

    port: int
    round_trips: int = 0
    who_spoke: str = "far"

    def spoke(self, who: str) -> None:
        if who == "near" and self.who_spoke == "far":
            self.round_trips += 1
        self.who_spoke = who


@contextlib.contextmanager
def slow_wire(port: int, round_trip_s: float) -> Iterator[Wire]:
    """A port that leads to `port` on loopback; every byte is half of `round_trip_s` under way, in either direction."""
    server = socket.create_server(("127.0.0.1", 0))
    lines: list[socket.socket] = []
    wire = Wire(server.getsockname()[1])

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = server.accept()
                # A new TCP connection costs a round trip, which here would otherwise be the only one that is free.
                time.sleep(round_trip_s)
                far = socket.create_connection(("127.0.0.1", port))
                lines.extend((near, far))
                for line in (near, far):
                    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire.spoke("near")  # SYN
                wire.spoke("far")
                for who, source, sink in (("near", near, far), ("far", far, near)):
                    _Half(lambda who=who: wire.spoke(who), source, sink, round_trip_s / 2).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield wire
    finally:
        server.close()
        for line in lines:
            line.close()


class _Half:
    """One direction: bytes wait in a queue until their time has come, and do not wait for each other."""

    def __init__(self, on_words: Callable[[], None], source: socket.socket, sink: socket.socket, delay_s: float):
        self._on_words = on_words
        self._source, self._sink, self._delay_s = source, sink, delay_s
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._has_more = threading.Semaphore(0)

    def start(self) -> None:
        for work in (self._take, self._give):
            threading.Thread(target=work, daemon=True).start()

    def _take(self) -> None:
        data = b"x"
        while data:
            try:
                data = self._source.recv(1 << 16)
            except OSError:
                data = b""
            if data:
                self._on_words()
            self._under_way.append((time.monotonic() + self._delay_s, data))
            self._has_more.release()

    def _give(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._has_more.acquire()
                due, data = self._under_way.popleft()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    self._sink.shutdown(socket.SHUT_WR)
                    return
                self._sink.sendall(data)


@contextlib.contextmanager
def silent_port() -> Iterator[socket.socket]:
    """A port where the connection is taken and nothing is ever said."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    try:
        yield server
    finally:
        server.close()
