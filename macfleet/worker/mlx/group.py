"""The link over mx.distributed: `ring` (TCP), `jaccl` and `jaccl-ring` (RDMA over Thunderbolt).

mx.distributed has no tags, no shapes, no timeouts and no way to begin again in one process. So every frame is a header of fixed
size followed by its content, sending and receiving have a thread and a stream each (a pending recv blocks everything else on its
stream), the beginning has a deadline, and what cannot be repaired ends the process: launchd starts it again, and with it the gang.
"""

from __future__ import annotations

import faulthandler
import logging
import threading
import time
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import mlx.core as mx
import numpy as np

from macfleet.engines.protocol import Assemble
from macfleet.worker.config import WorkerConfig
from macfleet.worker.frames import HEADER_BYTES, Frame, FrameBroken, Kind, content_bytes, pack_header, pack_rows, row_bytes, unpack
from macfleet.worker.link import Arrivals, Deliver, LinkDead, LinkLost

log = logging.getLogger("macfleet.worker")

_BACKENDS = {"ring": "ring", "jaccl": "jaccl", "jaccl-ring": "jaccl"}


class GroupLink:
    """Implements worker.link.Link. The group is made at the first `assemble`; a later epoch goes over the same group."""

    endpoint: str | None = None
    can_be_remade = False

    def __init__(self, config: WorkerConfig, deliver: Deliver):
        self._config = config
        self._deliver = deliver
        self._group: Any = None
        self._outgoing: SimpleQueue[tuple[bytes, bytes, bytes | memoryview] | None] = SimpleQueue()
        self._is_dead = False
        self._epoch = 0
        self._sequence = 0

    def assemble(self, message: Assemble) -> None:
        if self._is_dead:
            raise LinkDead("a neighbour's end of the group is gone", mac=self._config.mac)
        if self._group is None:
            self._group = self._begin()
        self._epoch, self._sequence = message.epoch, 0
        self.send(Frame(Kind.PROBE, message.epoch))

    def send(self, frame: Frame) -> None:
        if self._is_dead:
            raise FrameBroken("the next rank is gone")
        header = pack_header(replace(frame, epoch=self._epoch), self._sequence)
        self._outgoing.put((header, pack_rows(frame), frame.content.data))
        self._sequence += 1

    def close(self) -> None:
        self._outgoing.put(None)

    def _begin(self) -> Any:
        """All ranks meet here. mx.distributed waits for a missing one for ever, and holds Python's lock while it does.

        No thread of ours could end that, so it is faulthandler's, which needs no lock: it says where we were and exits.
        """
        log.info("making the %s; if a rank is missing this process ends in %g s", self._config.kind, self._config.link_deadline_s)
        faulthandler.dump_traceback_later(self._config.link_deadline_s, exit=True)
        try:
            # strict: without it a backend that cannot start gives a group of one, and each rank computes alone.
            group = mx.distributed.init(strict=True, backend=_BACKENDS[self._config.kind])
        except RuntimeError as error:
            raise LinkDead(f"the {self._config.kind} could not begin: {error}", mac=self._config.mac) from error
        finally:
            faulthandler.cancel_dump_traceback_later()
        made, planned = f"{group.rank()} of {group.size()}", f"{self._config.rank} of {self._config.world}"
        if made != planned:
            raise LinkDead(f"the {self._config.kind} made this rank {made}, planned is {planned}", mac=self._config.mac)
        threading.Thread(target=self._send_all, args=(group,), name="link-send", daemon=True).start()
        threading.Thread(target=self._receive_all, args=(group,), name="link-receive", daemon=True).start()
        return group

    def _send_all(self, group: Any) -> None:
        stream = mx.new_stream(mx.cpu)
        following = (self._config.rank + 1) % self._config.world
        try:
            while (frame := self._outgoing.get()) is not None:
                for part in frame:
                    if len(part):
                        mx.eval(mx.distributed.send(_bytes_to_array(part), following, group=group, stream=stream))
        except Exception as error:  # whatever it is: a thread that ends in silence is a gang that waits for ever
            self._lost(f"sending to rank {following}: {error}")

    def _receive_all(self, group: Any) -> None:
        stream = mx.new_stream(mx.cpu)
        previous = (self._config.rank - 1) % self._config.world
        arrivals = Arrivals()

        def receive(length: int) -> bytes:
            array = mx.distributed.recv((length,), mx.uint8, previous, group=group, stream=stream)
            mx.eval(array)
            return np.array(array).tobytes()

        try:
            while True:
                header = receive(HEADER_BYTES)
                rows, length = row_bytes(header), content_bytes(header)
                frame = unpack(header, receive(rows) if rows else b"", receive(length) if length else b"")
                if arrivals.accept(frame):
                    self._deliver(replace(frame, arrived=time.monotonic()))
        except Exception as error:
            self._lost(f"receiving from rank {previous}: {error}")

    def _lost(self, error: str) -> None:
        self._is_dead = True
        self._deliver(LinkLost(error))


def _bytes_to_array(data: bytes | memoryview) -> mx.array:
    return mx.array(np.frombuffer(data, dtype=np.uint8))
