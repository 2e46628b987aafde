"""The link over any network: pyzmq PUSH to the next rank, PULL from the previous one, encrypted and authenticated by CURVE."""

from __future__ import annotations

import socket as sockets
import threading
import time
from dataclasses import replace

import zmq
from zmq.utils.monitor import recv_monitor_message

from macfleet.engines.protocol import Assemble
from macfleet.worker.config import WorkerConfig
from macfleet.worker.frames import Frame, FrameBroken, Kind, pack_header, pack_rows, unpack
from macfleet.worker.link import Arrivals, Deliver, LinkLost
from macfleet.worker.zap import ZAP_DOMAIN, Doorkeeper

# A neighbour whose process hangs, or a cable that is pulled, ends no TCP connection: ask every second, give up after three.
_PING_MS = 1000
_PING_TIMEOUT_MS = 3000
# After a "not now" of the Doorkeeper nothing comes, and only this makes ZeroMQ try again.
_HANDSHAKE_MS = 2000


class TcpLink:
    """Implements worker.link.Link. Used by one thread; frames are delivered from another."""

    can_be_remade = True

    def __init__(self, config: WorkerConfig, deliver: Deliver):
        self._config = config
        self._deliver = deliver
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._doorkeeper = Doorkeeper(self._context)
        if config.previous_public_key is not None:
            self._doorkeeper.allow([config.previous_public_key])
        self._push: zmq.Socket[bytes] | None = None
        self._epoch = 0
        self._sequence = 0
        pull = self._listen()
        self.endpoint: str | None = pull.getsockopt_string(zmq.LAST_ENDPOINT)
        threading.Thread(target=self._receive, args=(pull,), name="link-receive", daemon=True).start()

    def assemble(self, message: Assemble) -> None:
        if message.next_endpoint is None or message.next_public_key is None or message.previous_public_key is None:
            raise FrameBroken("the gateway assembled a tcp gang without endpoint or keys")
        self._doorkeeper.allow([message.previous_public_key])
        self._hang_up()
        self._epoch, self._sequence = message.epoch, 0
        try:
            self._connect(message.next_endpoint, message.next_public_key)
        except zmq.ZMQError as error:
            self._hang_up()
            raise FrameBroken(f"the next rank cannot be connected to at {message.next_endpoint}: {error}") from error
        self.send(Frame(Kind.PROBE, message.epoch))

    def send(self, frame: Frame) -> None:
        """Raises FrameBroken when the next rank has not taken frames for the whole link deadline."""
        assert self._push is not None, "assemble comes before send"
        header = pack_header(replace(frame, epoch=self._epoch), self._sequence)
        try:
            self._push.send_multipart([header, pack_rows(frame), frame.content.data], copy=len(frame.content.data) < 65536)
        except zmq.ZMQError as error:
            raise FrameBroken("the next rank takes no frames") from error
        self._sequence += 1

    def close(self) -> None:
        self._hang_up()
        self._context.term()

    def _listen(self) -> zmq.Socket[bytes]:
        pull = self._context.socket(zmq.PULL)
        pull.linger = 0
        pull.rcvhwm = 0  # what may be in flight is bounded by rank 0's scheduler
        self._use_keys(pull)
        pull.curve_server = True
        pull.zap_domain = ZAP_DOMAIN
        pull.bind(f"tcp://{_numeric(self._config.listen_address)}:*")
        return pull

    def _connect(self, endpoint: str, public_key: str) -> None:
        self._push = push = self._context.socket(zmq.PUSH)
        push.linger = 0
        push.sndhwm = 0
        push.sndtimeo = int(self._config.link_deadline_s * 1000)
        push.handshake_ivl = _HANDSHAKE_MS
        push.heartbeat_ivl, push.heartbeat_timeout = _PING_MS, _PING_TIMEOUT_MS
        self._use_keys(push)
        push.curve_serverkey = public_key.encode()
        monitor = push.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED)
        threading.Thread(target=self._watch, args=(monitor, self._epoch, endpoint), name="link-watch", daemon=True).start()
        push.connect(endpoint)

    def _use_keys(self, socket: zmq.Socket[bytes]) -> None:
        socket.ipv6 = True
        socket.curve_publickey = self._config.public_key.encode()
        socket.curve_secretkey = self._config.secret_key.encode()

    def _hang_up(self) -> None:
        if self._push is not None:
            self._push.disable_monitor()
            self._push.close()
            self._push = None

    def _receive(self, pull: zmq.Socket[bytes]) -> None:
        arrivals = Arrivals()
        try:
            while True:
                parts = pull.recv_multipart()
                epoch: int | None = None
                try:
                    if len(parts) != 3:
                        raise FrameBroken(f"a frame of {len(parts)} parts")
                    frame = unpack(*parts)
                    epoch = frame.epoch  # a gap in one that is over is no news of the one that runs
                    if arrivals.accept(frame):
                        self._deliver(replace(frame, arrived=time.monotonic()))
                except FrameBroken as error:
                    self._deliver(LinkLost(str(error), epoch))
        except zmq.ContextTerminated:
            pull.close()

    def _watch(self, monitor: zmq.Socket[bytes], epoch: int, endpoint: str) -> None:
        """A connection that ends may have taken frames with it, even if ZeroMQ connects again: the epoch is over.

        One that ends before its handshake is the next rank's "not now" (see Doorkeeper) and has taken nothing.
        """
        was_proved = False
        try:
            while (event := recv_monitor_message(monitor)["event"]) != zmq.EVENT_MONITOR_STOPPED:
                if event == zmq.EVENT_DISCONNECTED and was_proved:
                    self._deliver(LinkLost(f"the connection to the next rank at {endpoint} ended", epoch))
                was_proved = was_proved or event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        except zmq.ZMQError:
            pass  # the context is going
        monitor.close()


def _numeric(address: str) -> str:
    """zmq connects to names, but binds to addresses only. An IPv6 one wants brackets."""
    found = str(sockets.getaddrinfo(address, None, type=sockets.SOCK_STREAM)[0][4][0])
    return f"[{found}]" if ":" in found else found
