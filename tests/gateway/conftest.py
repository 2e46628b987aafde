import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial

import httpx
import pytest
import zmq
from openai import AsyncOpenAI

from macfleet.gateway.config import GatewayConfig, WorkerSeat
from macfleet.gateway.server import Server
from tests.gateway.echo import EchoWorker
from tests.gateway.tiny_model import make_tiny_model

DEADLINE_S = 30
API_KEY = "open sesame"


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def curve_pair():
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


@dataclass
class Running:
    """A gateway in this event loop, and how to be its worker or its client."""

    address: str
    control: str
    config: GatewayConfig
    worker_keys: list
    clients: contextlib.AsyncExitStack
    stop: asyncio.Event

    def worker(self, rank=0, keys=None, **options):
        seat = self.config.workers[rank]
        pair = tuple(key.encode() for key in keys or self.worker_keys[rank])
        layers = (seat.first_layer, seat.last_layer)
        return EchoWorker(rank, self.control, pair, self.config.public_key.encode(), layers=layers, mac=seat.mac, **options)

    def http(self, key=API_KEY):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(base_url=self.address, headers=headers, timeout=DEADLINE_S)

    def openai(self, key=API_KEY):
        client = AsyncOpenAI(base_url=f"{self.address}/v1", api_key=key, max_retries=0, timeout=DEADLINE_S)
        self.clients.push_async_callback(client.close)
        return client

    async def health(self):
        async with self.http() as client:
            return (await client.get("/health")).json()

    async def reach(self, state, *, after_epoch=-1):
        """Waits until the service is in this state, and in a later epoch than this one."""
        async with self.http() as client, asyncio.timeout(DEADLINE_S):
            while (health := (await client.get("/health")).json())["state"] != state or health["epoch"] <= after_epoch:
                await asyncio.sleep(0.02)
        return health


def gateway_config(model_dir, state_dir, world=1, worker_keys=None, **changes):
    public, secret = curve_pair()
    seats = [
        WorkerSeat(rank=rank, mac=f"studio-{rank + 1}", public_key=keys[0], first_layer=rank * 4, last_layer=rank * 4 + 4)
        for rank, keys in enumerate(worker_keys or [curve_pair() for _ in range(world)])
    ]
    values = {
        "service": "chat",
        "model": "tiny",
        "model_dir": model_dir,
        "port": 0,
        "control_bind": "tcp://127.0.0.1:0",
        "public_key": public,
        "secret_key": secret,
        "workers": tuple(seats),
        "context_tokens": 200,
        "concurrency": 2,
        "api_key": API_KEY,
        "state_dir": state_dir,
        "drain_timeout_s": 0,
    }
    return GatewayConfig.model_validate(values | changes)


@contextlib.asynccontextmanager
async def running_gateway(tiny_dir, state_dir, world=1, *, model_dir=None, **changes):
    worker_keys = [curve_pair() for _ in range(world)]
    config = gateway_config(model_dir or tiny_dir, state_dir, worker_keys=worker_keys, **changes)
    server, stop = Server(config), asyncio.Event()
    serving = asyncio.ensure_future(server.run(stop))
    async with contextlib.AsyncExitStack() as clients:
        yield Running(server.address, server.control_endpoint, config, worker_keys, clients, stop)
    stop.set()
    await serving


@pytest.fixture
def gateway(model_dir, tmp_path):
    """`async with gateway(world=2) as running: …`"""
    return partial(running_gateway, model_dir, tmp_path)
