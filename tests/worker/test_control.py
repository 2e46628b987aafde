"""A worker's end of the control plane, against a socket that the test reads when it likes."""

from itertools import islice

import pytest
import zmq

from macfleet.engines.protocol import Failed, Hello, decode_from_worker
from macfleet.worker.config import WorkerConfig
from macfleet.worker.control import Control
from tests.worker.gang import keypair


class Gateway:
    """A ROUTER that takes one message, and leaves the others with whoever sends them."""

    def __init__(self):
        self.public, self.secret = keypair()
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.linger, self.router.rcvhwm, self.router.rcvbuf = 0, 1, 65536
        self.router.curve_server = True
        self.router.curve_publickey, self.router.curve_secretkey = self.public.encode(), self.secret.encode()
        self.router.bind("tcp://127.0.0.1:*")
        self.endpoint = self.router.last_endpoint.decode()

    def all(self):
        while self.router.poll(2000):
            yield decode_from_worker(self.router.recv_multipart()[1])

    def close(self):
        self.router.close()
        self.context.term()


@pytest.fixture
def gateway():
    one = Gateway()
    yield one
    one.close()


def control_of(gateway, tmp_path, endpoint=None):
    public, secret = keypair()
    config = WorkerConfig(
        service="test",
        mac="studio-1",
        rank=0,
        world=1,
        model_dir=tmp_path,
        first_layer=0,
        last_layer=1,
        control=endpoint or gateway.endpoint,
        public_key=public,
        secret_key=secret,
        gateway_public_key=gateway.public,
        heartbeat_file=tmp_path / "beat",
    )
    return Control(config, lambda message: None)


def hello():
    return Hello(
        rank=0, mac="studio-1", pid=1, version="1", kind="tcp", data_endpoint=None, data_public_key=None, first_layer=0, last_layer=1
    )


def long_message(number):
    return Failed(request=str(number), epoch=1, error="x" * 10_000)


def turn(control, is_alive):
    control.run(lambda: (1, 0, None), is_alive)


def test_nothing_is_lost_while_the_gateway_does_not_read(gateway, tmp_path):
    count = 1900  # of 10 KB: more than the kernel takes off our hands
    control = control_of(gateway, tmp_path)
    say = control.mouth()
    say(hello())
    turn(control, is_alive=lambda: not gateway.router.poll(0))
    for number in range(count):
        say(long_message(number))

    turn(control, is_alive=iter([True, False]).__next__)
    heard = list(islice((message.request for message in gateway.all() if isinstance(message, Failed)), count))

    control.close()
    assert heard == [str(number) for number in range(count)]


def test_what_is_said_to_nobody_is_dropped_and_counted(gateway, tmp_path, caplog):
    control = control_of(gateway, tmp_path, endpoint="tcp://127.0.0.1:1")
    say = control.mouth()
    for number in range(3):
        say(long_message(number))

    control.close()

    assert "3 messages were dropped: there is no connection to the gateway at tcp://127.0.0.1:1" in caplog.text
