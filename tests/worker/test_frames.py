from dataclasses import replace

import pytest

from macfleet.engines.protocol import Form, Sampling
from macfleet.worker.engine import NotPicked, Picked, Reuse, Tensor
from macfleet.worker.frames import (
    HEADER_BYTES,
    Frame,
    FrameBroken,
    Kind,
    Member,
    content_bytes,
    pack_header,
    pack_rows,
    row_bytes,
    text,
    unpack,
)
from macfleet.worker.link import Arrivals
from macfleet.worker.opening import Opening, read_opening, render_opening
from macfleet.worker.picked import read_picked, render_picked

HIDDEN = Frame(Kind.PREFILL, 3, slot=7, position=512, content=Tensor("bfloat16", (1, 2, 4), b"0123456789abcdef"))
LANE = Frame(
    Kind.DECODE,
    3,
    slot=2,
    content=Tensor("float32", (2, 1, 1), b"01234567"),
    members=(Member(7, 512), Member(9, 3)),
    step_s=(0.5, 0.25),
)


@pytest.mark.parametrize(
    "frame", [HIDDEN, LANE, Frame(Kind.PROBE, 1), Frame(Kind.FAILED, 2, 9, content=text(b"no"))], ids=lambda frame: frame.kind.name
)
def test_a_frame_arrives_as_it_was_sent(frame):
    header, rows = pack_header(frame, sequence=5), pack_rows(frame)

    assert unpack(header, rows, frame.content.data) == replace(frame, sequence=5)
    assert (len(header), row_bytes(header), content_bytes(header)) == (HEADER_BYTES, len(rows), len(frame.content.data))


@pytest.mark.parametrize(
    ("header", "rows", "content", "said"),
    [
        (b"", b"", b"", "no frame of this version"),
        (b"x" * HEADER_BYTES, b"", b"", "no frame of this version"),
        (pack_header(HIDDEN, 0), b"", b"0123", "came with 4 bytes"),
        (pack_header(LANE, 0), b"0123", LANE.content.data, "its rows with 4"),
        (pack_header(HIDDEN, 0)[:4] + b"\x63" + pack_header(HIDDEN, 0)[5:], b"", b"0123456789abcdef", "unknown kind 99"),
    ],
)
def test_what_is_not_a_frame_is_refused(header, rows, content, said):
    with pytest.raises(FrameBroken, match=said):
        unpack(header, rows, content)


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


def test_picked_tokens_survive_the_way_back():
    rows = (Picked(5), Picked(5, -0.25, ((5, -0.25), (9, -3.5))), NotPicked("no token fits"))

    assert read_picked(render_picked(rows)) == rows


@pytest.mark.parametrize("reuse", [None, Reuse(3, 99)])
def test_an_opening_survives_the_way(reuse):
    opening = Opening(Sampling(temperature=0.5, logit_bias={7: 1.5}, form=Form(grammar="g", eos=(2,))), reuse)

    assert read_opening(render_opening(opening)) == opening
