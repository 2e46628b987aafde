from queue import Empty, SimpleQueue

import pytest
import zmq

from macfleet.engines.protocol import Assemble
from macfleet.worker.config import WorkerConfig
from macfleet.worker.frames import Frame, FrameBroken, Kind, pack_header, text
from macfleet.worker.link import LinkLost
from macfleet.worker.tcp import TcpLink
from tests.worker.gang import keypair


class End:
    """One rank's link and what it delivered."""

    def __init__(self, rank, tmp_path):
        self.public, self.secret = keypair()
        self.arrived = SimpleQueue()
        self.config = WorkerConfig(
            service="test",
            mac=f"studio-{rank + 1}",
            rank=rank,
            world=2,
            model_dir=tmp_path,
            first_layer=rank,
            last_layer=rank + 1,
            control="tcp://127.0.0.1:1",
            public_key=self.public,
            secret_key=self.secret,
            gateway_public_key="g" * 40,
            heartbeat_file=tmp_path / "beat",
        )
        self.link = TcpLink(self.config, self.arrived.put)

    def assemble(self, epoch, other):
        message = Assemble(epoch=epoch, next_endpoint=other.link.endpoint, next_public_key=other.public, previous_public_key=other.public)
        self.link.assemble(message)

    def next(self, timeout=20):
        return self.arrived.get(timeout=timeout)


@pytest.fixture
def ends(tmp_path):
    both = [End(rank, tmp_path) for rank in (0, 1)]
    yield both
    for end in both:
        end.link.close()


def test_frames_arrive_in_order_behind_the_probe_that_proves_the_link(ends):
    first, second = ends
    first.assemble(1, second)
    second.assemble(1, first)

    for slot in range(3):
        first.link.send(Frame(Kind.OPEN, 1, slot, content=text(b"x" * slot)))

    frames = [second.next() for _ in range(4)]
    assert [(frame.kind, frame.slot, bytes(frame.content.data)) for frame in frames] == [
        (Kind.PROBE, 0, b""),
        (Kind.OPEN, 0, b""),
        (Kind.OPEN, 1, b"x"),
        (Kind.OPEN, 2, b"xx"),
    ]


def test_a_neighbour_that_hears_of_the_epoch_later_still_gets_the_probe(ends):
    first, second = ends
    first.assemble(1, second)
    with pytest.raises(Empty):
        second.next(timeout=0.3)

    second.assemble(1, first)

    assert second.next().kind is Kind.PROBE
    assert first.next().kind is Kind.PROBE


def test_a_new_epoch_begins_its_own_count(ends):
    first, second = ends
    for epoch in (1, 2):
        first.assemble(epoch, second)
        second.assemble(epoch, first)

    arrived = [second.next()]
    if arrived[0].epoch == 1:
        arrived.append(second.next())
    assert (arrived[-1].kind, arrived[-1].epoch, arrived[-1].sequence) == (Kind.PROBE, 2, 0)


def test_the_end_of_a_neighbour_is_told_at_once(ends, tmp_path):
    first, _ = ends
    third = End(1, tmp_path)
    first.assemble(1, third)
    third.assemble(1, first)
    assert first.next().kind is Kind.PROBE

    third.link.close()

    lost = first.next()
    assert isinstance(lost, LinkLost)
    assert (lost.epoch, "ended" in lost.error) == (1, True)


@pytest.mark.parametrize("endpoint", ["tcp://studio-2", "somewhere", "tcp://127.0.0.1:port"])
def test_an_endpoint_that_is_none_breaks_the_epoch_and_not_the_worker(ends, endpoint):
    first, second = ends
    nowhere = Assemble(epoch=1, next_endpoint=endpoint, next_public_key=second.public, previous_public_key=second.public)

    with pytest.raises(FrameBroken, match=f"cannot be connected to at {endpoint}"):
        first.link.assemble(nowhere)

    first.assemble(2, second)
    second.assemble(2, first)
    assert second.next().kind is Kind.PROBE


def stranger(end, *, public, secret):
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.linger = 0
    push.curve_publickey, push.curve_secretkey, push.curve_serverkey = public.encode(), secret.encode(), end.public.encode()
    push.connect(end.link.endpoint)
    return context, push


def test_nobody_but_the_previous_rank_is_let_in(ends):
    first, second = ends
    second.assemble(1, first)
    public, secret = keypair()
    context, push = stranger(second, public=public, secret=secret)
    push.send_multipart([pack_header(Frame(Kind.PROBE, 1), 0), b"", b""])

    with pytest.raises(Empty):
        second.next(timeout=1.0)

    push.close()
    context.term()


def test_a_lost_frame_is_noticed_at_the_next_one(ends):
    first, second = ends
    second.assemble(1, first)
    context, push = stranger(second, public=first.public, secret=first.secret)
    push.send_multipart([pack_header(Frame(Kind.PROBE, 1), 0), b"", b""])
    push.send_multipart([pack_header(Frame(Kind.FREE, 1, slot=1), 2), b"", b""])

    assert second.next().kind is Kind.PROBE
    lost = second.next()
    assert "frame 2 of epoch 1 came where 1 was expected" in lost.error
    assert lost.epoch == 1, "it may come when the next epoch is on its way, and says nothing of that one"

    push.close()
    context.term()


def test_what_is_no_frame_is_said(ends):
    first, second = ends
    second.assemble(1, first)
    context, push = stranger(second, public=first.public, secret=first.secret)
    push.send(b"hello")
    push.send_multipart([b"hello", b"", b"you"])

    assert "a frame of 1 parts" in second.next().error
    assert "no frame of this version" in second.next().error

    push.close()
    context.term()
