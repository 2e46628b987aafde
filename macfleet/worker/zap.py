"""Who may connect: ZeroMQ asks this thread about every CURVE client key."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import zmq
from zmq.utils import z85

_ENDPOINT = "inproc://zeromq.zap.01"
# Sockets that are to be guarded name it: with a domain, libzmq lets nobody in when there is nobody to ask.
ZAP_DOMAIN = b"macfleet"


class Doorkeeper:
    """Lets the keys of `allow` in, on every CURVE socket of `context`.

    The answer to all others is 300, "not now": a client with a short handshake interval tries again by itself. A neighbour may
    hear of a new epoch some milliseconds before we do, and with 400 it would never come back.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]):
        self._allowed: frozenset[bytes] = frozenset()
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(_ENDPOINT)
        threading.Thread(target=self._answer_all, name="zap", daemon=True).start()

    def allow(self, public_keys: Iterable[str]) -> None:
        """From now on these keys (Z85) and no others. Connections that stand are left alone."""
        self._allowed = frozenset(z85.decode(key.encode()) for key in public_keys)

    def _answer_all(self) -> None:
        try:
            while True:
                self._answer(self._socket.recv_multipart())
        except zmq.ContextTerminated:
            self._socket.close()

    def _answer(self, question: list[bytes]) -> None:
        version, request, _domain, _address, _identity, mechanism, *credentials = question
        is_known = mechanism == b"CURVE" and credentials[0] in self._allowed
        status = (b"200", b"OK") if is_known else (b"300", b"not now")
        user = z85.encode(credentials[0]) if is_known else b""
        self._socket.send_multipart([version, request, *status, user, b""])
