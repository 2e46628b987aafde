"""The control plane: a CURVE ROUTER to which exactly the workers of this service may connect."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from macfleet.core.errors import MacfleetError
from macfleet.engines.protocol import FromGateway, FromWorker, ProtocolError, decode_from_worker, encode
from macfleet.gateway.config import GatewayConfig

log = logging.getLogger(__name__)

_DOMAIN = "macfleet"  # without one, libzmq asks nobody whom to let in


class PortTaken(MacfleetError):
    """Somebody else listens where this gateway should, or its address is not on this Mac."""


class Control:
    """The socket, and which connection belongs to which rank.

    A rank is known by its CURVE key, not by what a message claims: the server's handshake proved the key.
    """

    def __init__(self, config: GatewayConfig):
        self._ranks = {seat.public_key: seat.rank for seat in config.workers}
        self._identities: dict[int, bytes] = {}
        self._context = zmq.asyncio.Context()
        self._doorkeeper = AsyncioAuthenticator(self._context, log=logging.getLogger("macfleet.gateway.zap"))
        self._doorkeeper.start()
        self._doorkeeper.configure_curve_callback(_DOMAIN, _AllowList(self._ranks))
        self._socket = self._bound_socket(config)

    @property
    def endpoint(self) -> str:
        """Where it is bound; the kernel's port when the config said `*` or 0."""
        return self._socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")

    async def run(self, heard: Callable[[FromWorker], None]) -> None:
        """Hands on every valid message, for ever. What is not valid is logged and dropped: one bad worker stops no other."""
        while True:
            frames = await self._socket.recv_multipart(copy=False)
            message = self._understood(frames)
            if message is not None:
                heard(message)

    def send(self, rank: int, message: FromGateway) -> bool:
        """False: its connection is gone. A worker that is connected and does not read is found by its heartbeat."""
        identity = self._identities.get(rank)
        if identity is None:
            return False
        sent = asyncio.ensure_future(self._socket.send_multipart([identity, encode(message)], flags=zmq.NOBLOCK))
        error = sent.exception()  # with NOBLOCK it is done already, one way or the other
        if isinstance(error, zmq.ZMQError) and error.errno == zmq.EHOSTUNREACH:
            return False
        if error is not None:
            log.warning("worker cannot be told", extra={"rank": rank, "type": message.type, "error": str(error)})
        return True

    def close(self) -> None:
        self._socket.close(linger=0)
        self._doorkeeper.stop()
        self._context.destroy(linger=0)

    def _bound_socket(self, config: GatewayConfig) -> zmq.asyncio.Socket:
        router = self._context.socket(zmq.ROUTER)
        router.curve_server = True
        router.curve_publickey = config.public_key.encode()
        router.curve_secretkey = config.secret_key.get_secret_value().encode()
        router.zap_domain = _DOMAIN.encode()
        router.router_mandatory = True  # sending to a lost worker is an error, not silence
        router.router_handover = True  # a worker that reconnects takes its place from its own stale connection
        router.heartbeat_ivl, router.heartbeat_timeout = 1000, 5000
        router.rcvhwm = 0  # what workers say while this loop is busy; bounded by the requests' max_tokens
        try:
            endpoint = _numeric(config.control_bind)
            router.ipv6 = "[" in endpoint
            router.bind(endpoint)
        except (zmq.ZMQError, OSError) as error:
            self._socket = router
            self.close()
            raise PortTaken(
                f"the control port {config.control_bind} cannot be bound: {error}",
                hint="find who has it with `lsof -nP -iTCP -sTCP:LISTEN`, or give the service another control_port",
            ) from error
        return router

    def _understood(self, frames: list[zmq.Frame]) -> FromWorker | None:
        rank = self._ranks.get(str(frames[-1].get("User-Id")))
        if rank is None or len(frames) != 2:
            log.warning("message dropped", extra={"rank": rank, "frames": len(frames)})
            return None
        self._identities[rank] = frames[0].bytes
        try:
            message = decode_from_worker(frames[1].bytes)
        except ProtocolError as error:
            log.warning("message dropped", extra={"rank": rank, "error": str(error)})
            return None
        if getattr(message, "rank", rank) != rank:
            log.warning("message dropped", extra={"rank": rank, "error": f"it speaks for rank {message!r}"})
            return None
        return message


class _AllowList:
    """Which CURVE keys are let in."""

    def __init__(self, keys: Mapping[str, int]):
        self._keys = keys

    def callback(self, domain: str, key: bytes) -> bool:
        allowed = key.decode() in self._keys
        if not allowed:
            log.warning("connection refused: its key is not one of this service's workers", extra={"public_key": key.decode()})
        return allowed


def _numeric(endpoint: str) -> str:
    """`tcp://studio-1:8081` → `tcp://10.0.0.1:8081`: zmq connects to names but binds to addresses only."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    if host == "*":
        return endpoint
    found: Any = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    address = found[4][0]
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"
