"""Requests whose client leaves, at every moment of their lives."""

from macfleet.engines.protocol import Submit
from macfleet.worker.engine import Reuse
from macfleet.worker.frames import Kind
from macfleet.worker.scheduler import Limits, Scheduler, Step


def scheduler(concurrency=4):
    return Scheduler(1, 2, Limits(concurrency, context_tokens=256, chunk_tokens=64, chunks_ahead=2))


def request(name, prompt=(1, 2, 3)):
    return Submit(request=name, epoch=1, prompt=tuple(prompt), max_tokens=8)


def steps_until_idle(turns):
    steps = []
    while (step := turns.next_step(0.0)) is not None:
        steps.append(step)
    return steps


def test_who_leaves_before_any_rank_heard_of_it_is_never_mentioned():
    turns = scheduler()
    turns.submit(request("a"))
    turns.submit(request("b", [7]))

    turns.cancel("a")

    assert [(step.kind, step.slot) for step in steps_until_idle(turns)] == [(Kind.OPEN, 2), (Kind.DECODE, 1)]


def test_who_waits_takes_the_place_of_who_left_unheard():
    turns = scheduler(concurrency=1)
    turns.submit(request("a"))
    turns.submit(request("b", [7]))

    turns.cancel("a")

    assert [(step.kind, step.slot) for step in steps_until_idle(turns)] == [(Kind.OPEN, 2), (Kind.DECODE, 1)]
    assert turns.active == 1


def test_who_leaves_with_a_chunk_under_way_is_freed_and_its_chunk_is_nobodys():
    turns = scheduler()
    turns.submit(request("a", range(100)))
    assert [step.kind for step in steps_until_idle(turns)] == [Kind.OPEN, Kind.PREFILL, Kind.PREFILL]

    turns.cancel("a")
    turns.filled(1, 50, (0.01, 0.01))

    assert steps_until_idle(turns) == [Step(Kind.FREE, 1)]


def test_what_was_kept_stays_when_who_would_have_gone_on_from_it_leaves_unheard():
    turns = scheduler()
    number, _ = turns.prefixes.keep(range(40))
    turns.submit(request("a", range(50)))
    turns.cancel("a")

    turns.submit(request("b", range(50)))

    assert steps_until_idle(turns)[0] == Step(Kind.OPEN, 2, reuse=Reuse(number, 40))
