import pytest

from macfleet.worker.engine import Picked, Tensor
from macfleet.worker.frames import HEADER_BYTES, Frame, FrameBroken, Kind, content_bytes, pack_header, text, unpack
from macfleet.worker.link import Arrivals
from macfleet.worker.picked import read_picked, render_picked

HIDDEN = Frame(Kind.PREFILL, 3, slot=7, position=512, content=Tensor("bfloat16", (1, 2, 4), b"0123456789abcdef"))


@pytest.mark.parametrize(
    "frame", [HIDDEN, Frame(Kind.PROBE, 1), Frame(Kind.FAILED, 2, 9, content=text(b"no"))], ids=lambda frame: frame.kind.name
)
def test_a_frame_arrives_as_it_was_sent(frame):
    header = pack_header(frame, sequence=5)

    arrived = unpack(header, frame.content.data)

    assert (arrived.kind, arrived.epoch, arrived.slot, arrived.position, arrived.sequence) == (
        frame.kind,
        frame.epoch,
        frame.slot,
        frame.position,
        5,
    )
    assert arrived.content == frame.content
    assert (len(header), content_bytes(header)) == (HEADER_BYTES, len(frame.content.data))


@pytest.mark.parametrize(
    ("header", "content", "said"),
    [
        (b"", b"", "no frame of this version"),
        (b"x" * HEADER_BYTES, b"", "no frame of this version"),
        (pack_header(HIDDEN, 0), b"0123", "came with 4 bytes"),
        (pack_header(HIDDEN, 0)[:4] + b"\x63" + pack_header(HIDDEN, 0)[5:], b"0123456789abcdef", "unknown kind 99"),
    ],
)
def test_what_is_not_a_frame_is_refused(header, content, said):
    with pytest.raises(FrameBroken, match=said):
        unpack(header, content)


def test_frames_of_older_epochs_are_history_and_newer_ones_begin_at_zero():
    arrivals = Arrivals()

    assert arrivals.accept(Frame(Kind.PROBE, 2))
    assert not arrivals.accept(Frame(Kind.FREE, 1, sequence=4))
    assert arrivals.accept(Frame(Kind.FREE, 2, sequence=1))
    assert arrivals.accept(Frame(Kind.PROBE, 3))


@pytest.mark.parametrize("sequence", [0, 2])
def test_a_repeated_or_a_lost_frame_is_an_error(sequence):
    arrivals = Arrivals()
    arrivals.accept(Frame(Kind.PROBE, 1))

    with pytest.raises(FrameBroken, match=f"frame {sequence} of epoch 1 came where 1 was expected"):
        arrivals.accept(Frame(Kind.FREE, 1, sequence=sequence))


@pytest.mark.parametrize("picked", [Picked(5), Picked(5, -0.25, ((5, -0.25), (9, -3.5)))])
def test_a_picked_token_survives_the_way_back(picked):
    assert read_picked(render_picked(picked)) == picked
