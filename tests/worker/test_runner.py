"""The thread that computes, with an engine and a link that only say what they were asked."""

import threading
from array import array
from dataclasses import replace
from queue import SimpleQueue

import pytest

from macfleet.core.errors import MacfleetError
from macfleet.engines.protocol import Assemble, Broken, Cancel, Failed, Ready, Reset, Sampling, Submit, Token
from macfleet.worker.config import WorkerConfig
from macfleet.worker.engine import NotPicked, Picked, Reach, Tensor
from macfleet.worker.frames import Frame, FrameBroken, Kind, Member, text
from macfleet.worker.link import LinkDead, LinkLost
from macfleet.worker.opening import Opening, render_opening
from macfleet.worker.picked import render_picked
from macfleet.worker.runner import Runner, Stop


class EchoEngine:
    """Answers a prompt with its last token, counting down; fails where it is told to."""

    names = ()
    weight_bytes = 0

    def __init__(self, fails_at=None):
        self.fails_at = fails_at
        self.open_slots = set()

    can_batch = True
    reach = Reach.ANY

    def open(self, slot, sampling, reuse=None):
        self.open_slots.add(slot)

    def feed(self, slot, position, inputs):
        if position == self.fails_at:
            raise RuntimeError("out of memory")
        return None

    def pick(self, lane, slots, positions, inputs):
        if self.fails_at in positions:
            raise RuntimeError("out of memory")
        return tuple(Picked(token - 1) for token in array("i", bytes(inputs.data)))

    def keep(self, slot, prefix):
        assert slot in self.open_slots

    def drop(self, prefix):
        pass

    def free(self, slot):
        self.open_slots.discard(slot)

    def close(self):
        pass


class MiddleEngine(EchoEngine):
    def feed(self, slot, position, inputs):
        super().feed(slot, position, inputs)
        return Tensor("float32", (1, 1, 1), b"abcd")

    def step(self, lane, slots, positions, inputs):
        return self.feed(slots[0], positions[0], inputs)


class RecordingLink:
    endpoint = None

    def __init__(self, can_be_remade=True, error=None):
        self.can_be_remade = can_be_remade
        self.sent = SimpleQueue()
        self.error = error

    def assemble(self, message):
        if self.error:
            raise self.error

    def send(self, frame):
        self.sent.put(frame)

    def close(self):
        pass


class Rig:
    """A runner on its thread, and what it said."""

    def __init__(self, tmp_path, engine=None, link=None, *, rank=0, world=1, **config):
        self.inbox, self.said = SimpleQueue(), SimpleQueue()
        self.engine, self.link = engine or EchoEngine(), link or RecordingLink()
        settings = WorkerConfig(
            service="test",
            mac=f"studio-{rank + 1}",
            rank=rank,
            world=world,
            model_dir=tmp_path,
            first_layer=rank,
            last_layer=rank + 1,
            control="tcp://127.0.0.1:1",
            public_key="p" * 40,
            secret_key="s" * 40,
            gateway_public_key="g" * 40,
            heartbeat_file=tmp_path / "beat",
            **config,
        )
        self.runner = Runner(settings, self.engine, self.link, self.inbox, self.said.put)
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            self.runner.run()
        except LinkDead as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.inbox.put(Stop())
        self.thread.join()

    def tell(self, *events):
        for event in events:
            self.inbox.put(event)

    def hear(self, count=1):
        heard = [self.said.get(timeout=20) for _ in range(count)]
        return heard[0] if count == 1 else heard

    def rest(self):
        """What was said until everything told was done."""
        self.inbox.put(Stop())
        self.thread.join()
        return [self.said.get() for _ in range(self.said.qsize())]

    def sent(self):
        """What went to the next rank."""
        return [self.link.sent.get() for _ in range(self.link.sent.qsize())]


def request(name, prompt, max_tokens=2, epoch=1):
    return Submit(request=name, epoch=epoch, prompt=tuple(prompt), max_tokens=max_tokens)


def frame(kind, slot=1, position=0, content=None, epoch=1):
    """A DECODE and what answers it is of a lane with one member, the slot of the same number."""
    members = (Member(slot, position),) if kind in (Kind.DECODE, Kind.PICKED) else ()
    return Frame(kind, epoch, slot, position, content or text(b""), members=members, step_s=(0.01, 0.01) if kind is Kind.PICKED else ())


OPEN = frame(Kind.OPEN, content=render_opening(Opening(Sampling())))
HIDDEN = Tensor("float32", (1, 1, 1), b"wxyz")


def test_a_gang_of_one_is_ready_at_once_and_answers(tmp_path):
    with Rig(tmp_path) as rig:
        rig.tell(Assemble(epoch=1), request("a", [10, 9, 8]))

        assert rig.hear() == Ready(rank=0, epoch=1)
        assert [(token.token, token.finished) for token in rig.hear(2)] == [(7, None), (6, "length")]
    assert rig.engine.open_slots == set()


def test_an_error_in_one_request_names_the_mac_and_leaves_the_others_alone(tmp_path):
    with Rig(tmp_path, EchoEngine(fails_at=3)) as rig:
        rig.tell(Assemble(epoch=1), request("long", [1, 2, 3, 4, 5], max_tokens=4), request("short", [9], max_tokens=1))
        said = rig.hear(4)

    tokens = [message for message in said if isinstance(message, Token) and message.request == "short"]
    assert [token.token for token in tokens] == [8]
    assert not any(isinstance(message, Broken) for message in said)


def test_a_failed_request_is_told_and_its_slot_freed(tmp_path):
    with Rig(tmp_path, EchoEngine(fails_at=0)) as rig:
        rig.tell(Assemble(epoch=1), request("a", [1]))

        assert rig.hear(2)[1] == Failed(request="a", epoch=1, error="studio-1 (rank 0): RuntimeError: out of memory")
    assert rig.engine.open_slots == set()


class NeverPicks(EchoEngine):
    def pick(self, lane, slots, positions, inputs):
        return tuple(NotPicked("no token fits") for _ in slots)


def test_a_row_without_a_token_names_the_mac(tmp_path):
    with Rig(tmp_path, NeverPicks()) as rig:
        rig.tell(Assemble(epoch=1), request("a", [1]))

        assert rig.hear(2)[1] == Failed(request="a", epoch=1, error="studio-1 (rank 0): no token fits")


def test_a_request_of_another_epoch_is_history(tmp_path):
    with Rig(tmp_path) as rig:
        rig.tell(Assemble(epoch=2), request("old", [5], epoch=1), Cancel(request="old"))

        assert rig.rest() == [Ready(rank=0, epoch=2)]


def test_a_reset_forgets_every_request_and_waits(tmp_path):
    with Rig(tmp_path, rank=1, world=2) as rig:
        rig.tell(Assemble(epoch=1), frame(Kind.PROBE), OPEN, Reset(epoch=2), frame(Kind.DECODE, content=HIDDEN))
        said = rig.rest()

    assert said == [Ready(rank=1, epoch=1)]
    assert rig.engine.open_slots == set()
    assert rig.runner.epoch == 2


def test_the_last_rank_sends_the_picked_token_round(tmp_path):
    with Rig(tmp_path, rank=1, world=2) as rig:
        rig.tell(
            Assemble(epoch=1), frame(Kind.PROBE), OPEN, frame(Kind.PREFILL, content=HIDDEN), frame(Kind.DECODE, position=1, content=HIDDEN)
        )
        rig.rest()

    assert [sent.kind for sent in rig.sent()] == [Kind.FILLED, Kind.PICKED]


def test_a_middle_rank_gives_on_what_it_computed_and_what_is_not_for_it(tmp_path):
    with Rig(tmp_path, MiddleEngine(), rank=1, world=3) as rig:
        rig.tell(Assemble(epoch=1), frame(Kind.PROBE), OPEN, frame(Kind.DECODE, content=HIDDEN))
        rig.tell(frame(Kind.FAILED, slot=4, content=text(b"studio-1: no")), frame(Kind.FREE))
        rig.rest()

    sent = rig.sent()
    assert [(frame.kind, frame.slot) for frame in sent] == [(Kind.OPEN, 1), (Kind.DECODE, 1), (Kind.FAILED, 4), (Kind.FREE, 1)]
    assert bytes(sent[1].content.data) == b"abcd"


def test_a_stage_that_fails_says_so_to_rank_0(tmp_path):
    with Rig(tmp_path, MiddleEngine(fails_at=0), rank=1, world=3) as rig:
        rig.tell(Assemble(epoch=1), frame(Kind.PROBE), OPEN, frame(Kind.DECODE, content=HIDDEN))
        rig.rest()

    assert [(sent.kind, bytes(sent.content.data)) for sent in rig.sent()[1:]] == [
        (Kind.FAILED, b"studio-2 (rank 1): RuntimeError: out of memory")
    ]


def test_rank_0_takes_the_answer_that_came_round(tmp_path):
    with Rig(tmp_path, MiddleEngine(), world=2) as rig:
        rig.tell(Assemble(epoch=1), frame(Kind.PROBE), request("a", [7], max_tokens=1))
        assert [rig.link.sent.get(timeout=20).kind for _ in range(2)] == [Kind.OPEN, Kind.DECODE]
        rig.tell(frame(Kind.PICKED, content=render_picked([Picked(3)])))
        _, token = rig.hear(2)

        assert (token.request, token.token, token.finished) == ("a", 3, "length")
        assert rig.link.sent.get(timeout=20).kind is Kind.FREE


def test_a_probe_that_comes_before_we_heard_of_its_epoch_is_kept(tmp_path):
    with Rig(tmp_path, rank=1, world=2) as rig:
        rig.tell(frame(Kind.PROBE, epoch=3), Assemble(epoch=3))

        assert rig.hear() == Ready(rank=1, epoch=3)


def test_a_probe_that_never_comes_breaks_the_epoch(tmp_path):
    with Rig(tmp_path, rank=1, world=2, link_deadline_s=0.05) as rig:
        rig.tell(Assemble(epoch=1))

        assert rig.hear() == Broken(rank=1, epoch=1, error="no probe came from the previous rank within 0.05 s")


@pytest.mark.parametrize("epoch", [1, None])
def test_a_lost_link_breaks_the_epoch_once(tmp_path, epoch):
    with Rig(tmp_path, rank=1, world=2) as rig:
        rig.tell(Assemble(epoch=1), frame(Kind.PROBE), LinkLost("gone", epoch), LinkLost("gone", epoch))

        assert rig.rest() == [Ready(rank=1, epoch=1), Broken(rank=1, epoch=1, error="gone")]


def test_the_end_of_an_older_link_is_history(tmp_path):
    with Rig(tmp_path, rank=1, world=2) as rig:
        rig.tell(Assemble(epoch=2), frame(Kind.PROBE, epoch=2), LinkLost("gone", 1))

        assert rig.rest() == [Ready(rank=1, epoch=2)]


def test_an_assembly_that_cannot_be_done_breaks_the_epoch(tmp_path):
    with Rig(tmp_path, link=RecordingLink(error=FrameBroken("no keys")), rank=1, world=2) as rig:
        rig.tell(Assemble(epoch=1))

        assert rig.rest() == [Broken(rank=1, epoch=1, error="no keys")]


def test_a_link_that_cannot_be_made_again_ends_the_thread(tmp_path):
    with Rig(tmp_path, link=RecordingLink(can_be_remade=False), rank=1, world=2) as rig:
        rig.tell(Assemble(epoch=1), frame(Kind.PROBE), LinkLost("peer lost"))
        rig.thread.join(20)

    assert "the link is dead (peer lost)" in str(rig.error)


def test_what_still_comes_of_an_epoch_that_is_over_is_not_computed(tmp_path):
    late = [OPEN, frame(Kind.PREFILL, content=HIDDEN), frame(Kind.DECODE, content=HIDDEN), frame(Kind.FAILED), frame(Kind.PROBE)]

    with Rig(tmp_path, MiddleEngine(), rank=1, world=3) as rig:
        rig.tell(Assemble(epoch=1), frame(Kind.PROBE), LinkLost("gone", 1), *late)
        said = rig.rest()

    assert said == [Ready(rank=1, epoch=1), Broken(rank=1, epoch=1, error="gone")]
    assert rig.sent() == []
    assert rig.engine.open_slots == set()


ONE_ROW = render_picked([Picked(3)])
ABSURD = {
    "one step time of two": replace(frame(Kind.PICKED, content=ONE_ROW), step_s=(0.1,)),
    "two rows for one member": frame(Kind.PICKED, content=render_picked([Picked(3)] * 2)),
    "no JSON": frame(Kind.PICKED, content=text(b"\xff")),
    "a chunk with one step time of two": replace(frame(Kind.FILLED, position=3), step_s=(0.1,)),
    "a chunk of no tokens": replace(frame(Kind.FILLED), step_s=(0.1, 0.1)),
    "a step that took no number of seconds": replace(frame(Kind.PICKED, content=ONE_ROW), step_s=(0.1, float("nan"))),
}


@pytest.mark.parametrize("absurd", ABSURD.values(), ids=ABSURD)
def test_an_answer_that_makes_no_sense_breaks_the_epoch_and_not_the_worker(tmp_path, absurd):
    with Rig(tmp_path, MiddleEngine(), world=2) as rig:
        rig.tell(Assemble(epoch=1), frame(Kind.PROBE), request("a", [7]))
        assert [rig.link.sent.get(timeout=20).kind for _ in range(2)] == [Kind.OPEN, Kind.DECODE]
        rig.tell(absurd)
        _, broken = rig.hear(2)
        rig.tell(Assemble(epoch=2), frame(Kind.PROBE, epoch=2))

        assert f"{absurd.kind.name} makes no sense" in broken.error
        assert rig.hear() == Ready(rank=0, epoch=2)


def test_the_log_says_what_failed_for_whom_and_where_if_nobody_expected_it(tmp_path, caplog):
    class Forgetful(MiddleEngine):
        def step(self, lane, slots, positions, inputs):
            raise KeyError(slots[1])

        def open(self, slot, sampling, reuse=None):
            raise MacfleetError("the prefix 7 is not kept here")

    both = replace(frame(Kind.DECODE, slot=9, content=HIDDEN), members=(Member(1, 0), Member(2, 0)))
    with Rig(tmp_path, Forgetful(), rank=1, world=3) as rig:
        rig.tell(Assemble(epoch=1), frame(Kind.PROBE), OPEN, both)
        rig.rest()

    foreseen, unforeseen = caplog.records[-2:]
    assert foreseen.getMessage() == "epoch 1: OPEN of slot 1: the prefix 7 is not kept here"
    assert unforeseen.getMessage() == "epoch 1: DECODE of lane 9 (slots 1, 2): KeyError: 2"
    assert (foreseen.exc_info, unforeseen.exc_info[0]) == (None, KeyError)
    assert [bytes(sent.content.data) for sent in rig.sent()] == [
        b"studio-2 (rank 1): the prefix 7 is not kept here",
        b"studio-2 (rank 1): KeyError: 2",
    ]
