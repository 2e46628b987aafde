"""The gateway's process: sockets, loops and signals around one Service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Iterator

import uvicorn

from macfleet.gateway.config import GatewayConfig
from macfleet.gateway.control import Control, PortTaken
from macfleet.gateway.heart import Heart
from macfleet.gateway.http import Face
from macfleet.gateway.model_text import load_model_text
from macfleet.gateway.service import Service

log = logging.getLogger(__name__)

_TICK_S = 0.25


class Server:
    """A gateway that is bound to its two ports. Raises PortTaken instead of existing without them."""

    def __init__(self, config: GatewayConfig):
        # Bound before anything else, so that a port already taken is the first and only thing the log says.
        self._listener = _bound_listener(config.listen, config.port)
        try:
            self._control = Control(config)
        except BaseException:
            self._listener.close()
            raise
        self.service = Service(config, self._control.send)
        self._http = _HttpServer(Face(self.service))

    @property
    def address(self) -> str:
        """Where clients connect, with the kernel's port when the config said 0."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def control_endpoint(self) -> str:
        """Where workers connect."""
        return self._control.endpoint

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop`, then finishes what runs. Raises MacfleetError when the model's files are of no use."""
        log.info("listening", extra={"address": self.address, "control": self.control_endpoint, "service": self.service.config.service})
        try:
            await _first_done(
                self._http.serve(sockets=[self._listener]),
                self._control.run(self.service.hear),
                _ticking(self.service),
                _loading(self.service),
                _ending(self.service, self._http, stop),
            )
        finally:
            self._control.close()
            self._listener.close()
        log.info("ended")


class _HttpServer(uvicorn.Server):
    """uvicorn, without its own signal handlers: they end the process by the signal, and a drained gateway ends with 0."""

    def __init__(self, face: Face):
        settings = uvicorn.Config(
            face.app(),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=75,  # longer than clients keep an idle connection, or they meet its end with a request
            timeout_graceful_shutdown=5,  # the draining was before; this is for what it could not end
        )
        super().__init__(settings)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _first_done(server: Awaitable[None], *endless: Awaitable[None]) -> None:
    """Until the server ends, which is the end, or one of the others fails, which is a bug that must not go unnoticed."""
    tasks = [asyncio.ensure_future(work) for work in (server, *endless)]
    pending = set(tasks)
    try:
        while tasks[0] in pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ticking(service: Service) -> None:
    heart = Heart(service.config.heartbeat_file)
    while True:
        asked = time.monotonic()
        await asyncio.sleep(_TICK_S)
        if time.monotonic() - asked > service.config.heartbeat_timeout_s / 2:
            # This process was stopped or starved, so the heartbeats wait unread: read them before judging their senders.
            log.warning("the gateway itself was held up", extra={"for_s": round(time.monotonic() - asked, 1)})
            await asyncio.sleep(_TICK_S)
        service.tick()
        if service.text is not None:  # loading a tokenizer may hold up everything for a while, which is no reason to be ended
            heart.beat(service.gang.epoch)


async def _loading(service: Service) -> None:
    """The tokenizer, while the workers load their weights."""
    start = time.monotonic()
    service.text = await asyncio.to_thread(load_model_text, service.config.model_dir)
    log.info("tokenizer loaded", extra={"duration_s": round(time.monotonic() - start, 2)})


async def _ending(service: Service, http: _HttpServer, stop: asyncio.Event) -> None:
    """Take nothing new, finish what runs within the time given, end."""
    await stop.wait()
    log.info("ending", extra={"running": service.desk.running, "waiting": service.desk.waiting})
    service.drain(True)
    deadline = time.monotonic() + service.config.drain_timeout_s
    while not service.desk.is_idle and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    service.desk.interrupt("the gateway is being stopped")
    http.should_exit = True


def _bound_listener(listen: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(listen, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise PortTaken(
            f"{listen}:{port} cannot be bound: {error.strerror or error}",
            hint=f"find who has it with `lsof -nP -iTCP:{port} -sTCP:LISTEN`, or give the service another port",
        ) from error
    return listener
