import asyncio

import pytest
import zmq

from macfleet.engines.protocol import Failed, Leaving, encode
from macfleet.gateway.control import Control
from tests.gateway.conftest import curve_pair, gateway_config

pytestmark = pytest.mark.anyio


async def test_what_workers_say_while_the_gateway_is_busy_is_taken_off_their_hands(tmp_path):
    public, secret = curve_pair()
    config = gateway_config(tmp_path, tmp_path, worker_keys=[(public, secret)])
    control = Control(config)
    context = zmq.Context()
    worker = context.socket(zmq.DEALER)
    worker.linger, worker.sndhwm, worker.sndtimeo = 0, 1, 2000
    worker.curve_publickey, worker.curve_secretkey, worker.curve_serverkey = public.encode(), secret.encode(), config.public_key.encode()
    worker.connect(control.endpoint)
    heard = asyncio.Queue()
    hearing = asyncio.ensure_future(control.run(heard.put_nowait))
    worker.send(encode(Leaving(rank=0)))
    await asyncio.wait_for(heard.get(), 20)  # it is let in, which needs this loop

    for number in range(2500):  # of 10 KB: more than the kernel takes; not one `await`
        worker.send(encode(Failed(request=str(number), epoch=1, error="x" * 10_000)))

    said = [(await asyncio.wait_for(heard.get(), 20)).request for _ in range(2500)]
    hearing.cancel()
    worker.close()
    context.term()
    control.close()
    assert said == [str(number) for number in range(2500)]
