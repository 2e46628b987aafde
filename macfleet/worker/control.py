"""The control plane of a worker: one DEALER to the gateway, heartbeats to it and to a file. Runs on the main thread."""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import zmq
from zmq.utils.monitor import recv_monitor_message

from macfleet.engines.protocol import (
    HEARTBEAT_INTERVAL_S,
    HEARTBEAT_LOST_S,
    FromGateway,
    FromWorker,
    Heartbeat,
    Hello,
    Leaving,
    ProtocolError,
    Reset,
    Work,
    decode_from_gateway,
    encode,
)
from macfleet.health.heartbeat import Beat, render_beat
from macfleet.worker.config import WorkerConfig

log = logging.getLogger("macfleet.worker")

_WAKE = "inproc://say"
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
Status = Callable[[], tuple[int, int, float | None]]  # epoch, active requests, busy since


class Control:
    """Carries messages between the gateway and the thread that computes.

    Hello is said on every new connection, so a gateway that restarts learns who is there; what is said while there is no
    connection is dropped, because it belongs to an epoch that the next gateway does not know. Nothing else is: one lost token
    ends its request.
    """

    def __init__(self, config: WorkerConfig, deliver: Callable[[FromGateway], None]):
        self._config = config
        self._deliver = deliver
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dealer = self._connect()
        self._monitor = self._dealer.get_monitor_socket(_EVENTS)
        self._said = self._context.socket(zmq.PULL)
        self._said.bind(_WAKE)
        self._mouths: list[zmq.Socket[bytes]] = []
        self._hello: Hello | None = None
        self._is_greeting_due = False
        self._last_beat = time.monotonic()
        self._stopping = False

    def mouth(self) -> Callable[[FromWorker], None]:
        """`say` for another thread; to be made and used on that thread."""
        socket = self._context.socket(zmq.PUSH)
        socket.linger = 0
        socket.connect(_WAKE)
        self._mouths.append(socket)

        def say(message: FromWorker) -> None:
            if isinstance(message, Hello):  # once per connection, so by the main thread, which knows of those
                self._hello = message
                self._is_greeting_due = True
                return
            socket.send(encode(message))

        return say

    def stop(self) -> None:
        """From a signal handler or another thread: `run` returns soon."""
        self._stopping = True

    def run(self, status: Status, is_alive: Callable[[], bool], work: Callable[[], Work | None] = lambda: None) -> None:
        """Until `stop`, or until the computing thread is gone."""
        poller = zmq.Poller()
        for socket in (self._dealer, self._monitor, self._said):
            poller.register(socket, zmq.POLLIN)
        while not self._stopping and is_alive():
            ready = dict(poller.poll(50))
            if self._monitor in ready:
                self._connection_changed()
            if self._said in ready:
                self._send_what_was_said()
            if self._dealer in ready:
                self._hear()
            if time.monotonic() - self._last_beat >= HEARTBEAT_INTERVAL_S:
                self._beat(*status(), work())
            if self._is_greeting_due and self._hello is not None:
                self._is_greeting_due = not self._send(self._hello)

    def close(self) -> None:
        """Say what is left to say, and that we leave. The computing thread has ended."""
        self._send_what_was_said()
        self._send(Leaving(rank=self._config.rank))
        self._dealer.disable_monitor()
        for socket in (self._dealer, self._monitor, self._said, *self._mouths):
            socket.close(linger=500)
        self._context.term()

    def _connect(self) -> zmq.Socket[bytes]:
        dealer = self._context.socket(zmq.DEALER)
        dealer.immediate = True  # nothing is queued for a gateway that is not there
        dealer.sndhwm = 0  # one that is busy is waited for: what may be in flight is bounded by the requests' max_tokens
        dealer.reconnect_ivl, dealer.reconnect_ivl_max = 100, 1000
        dealer.heartbeat_ivl, dealer.heartbeat_timeout = 1000, 5000
        dealer.curve_publickey = self._config.public_key.encode()
        dealer.curve_secretkey = self._config.secret_key.encode()
        dealer.curve_serverkey = self._config.gateway_public_key.encode()
        dealer.ipv6 = True
        dealer.connect(self._config.control)
        return dealer

    def _connection_changed(self) -> None:
        match recv_monitor_message(self._monitor)["event"]:
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                log.info("connected to the gateway at %s", self._config.control)
                self._is_greeting_due = True
            case zmq.EVENT_DISCONNECTED:
                log.warning("lost the gateway at %s; the weights stay", self._config.control)
                self._deliver(Reset(epoch=0))
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                log.error("the gateway at %s does not accept this worker's key", self._config.control)

    def _hear(self) -> None:
        try:
            message = decode_from_gateway(self._dealer.recv())
        except ProtocolError as error:
            log.error("%s", error)
            return
        self._deliver(message)

    def _send_what_was_said(self) -> None:
        dropped = 0
        while self._said.poll(0):
            dropped += not self._send_bytes(self._said.recv())
        if dropped:
            log.warning("%d messages were dropped: there is no connection to the gateway at %s", dropped, self._config.control)

    def _send(self, message: FromWorker) -> bool:
        return self._send_bytes(encode(message))

    def _send_bytes(self, data: bytes) -> bool:
        try:
            self._dealer.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _beat(self, epoch: int, active: int, busy_since: float | None, work: Work | None) -> None:
        now = time.monotonic()
        if now - self._last_beat > HEARTBEAT_LOST_S:
            log.warning("was frozen for %.1f s: the gateway has counted this worker as lost", now - self._last_beat)
            self._is_greeting_due = True
        self._last_beat = now
        busy_s = None if busy_since is None else now - busy_since
        rank, pid = self._config.rank, os.getpid()
        self._send(Heartbeat(rank=rank, pid=pid, epoch=epoch, active=active, busy_s=busy_s, rss_bytes=_rss_bytes(), work=work))
        write_heartbeat(self._config.heartbeat_file, epoch=epoch, busy_s=busy_s)


def write_heartbeat(file: Path, *, epoch: int, busy_s: float | None) -> None:
    """The sign of life that the agent on this Mac looks at; replaced as a whole. `busy_since` is wall time, like `time`."""
    now = time.time()
    beat = Beat(os.getpid(), now, None if busy_s is None else now - busy_s, epoch)
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.write_text(render_beat(beat))
        fresh.replace(file)
    except OSError as error:  # a full disk must not end a worker that computes
        log.warning("could not write %s: %s", file, error.strerror)


def _rss_bytes() -> int:
    """What this process holds now; on macOS, which tells it only of the past, the most it has held."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
