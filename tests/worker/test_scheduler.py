from macfleet.engines.protocol import Submit
from macfleet.worker.engine import Picked
from macfleet.worker.frames import Kind
from macfleet.worker.scheduler import Scheduler, Step


def scheduler(concurrency=4, chunk_tokens=4, chunks_ahead=2, context_tokens=64):
    return Scheduler(epoch=1, concurrency=concurrency, context_tokens=context_tokens, chunk_tokens=chunk_tokens, chunks_ahead=chunks_ahead)


def request(name, prompt, max_tokens=8, eos=()):
    return Submit(request=name, epoch=1, prompt=tuple(prompt), max_tokens=max_tokens, eos=eos)


def steps_until_idle(scheduler):
    steps = []
    while (step := scheduler.next_step()) is not None:
        steps.append(step)
    return steps


def test_a_prompt_goes_in_chunks_and_its_last_token_alone():
    turns = scheduler()
    turns.submit(request("a", range(1, 8)))

    assert steps_until_idle(turns) == [
        Step(Kind.OPEN, 1),
        Step(Kind.PREFILL, 1, 0, (1, 2, 3, 4)),
        Step(Kind.PREFILL, 1, 4, (5, 6)),
        Step(Kind.DECODE, 1, 6, (7,)),
    ]


def test_a_prompt_of_one_token_is_decoded_at_once():
    turns = scheduler()
    turns.submit(request("a", [9]))

    assert steps_until_idle(turns) == [Step(Kind.OPEN, 1), Step(Kind.DECODE, 1, 0, (9,))]


def test_a_long_prompt_keeps_no_more_chunks_in_flight_than_the_stages_can_use():
    turns = scheduler(chunks_ahead=2)
    turns.submit(request("a", range(30)))

    assert [step.position for step in steps_until_idle(turns)] == [0, 0, 4]
    turns.filled(1)
    assert [step.position for step in steps_until_idle(turns)] == [8]


def test_a_long_prompt_and_running_answers_take_turns():
    turns = scheduler(chunks_ahead=8)
    turns.submit(request("short", [1]))
    steps_until_idle(turns)
    turns.submit(request("long", range(30)))
    turns.next_step(), turns.next_step()  # open and the first chunk

    turns.picked(1, Picked(5))

    assert [(step.kind, step.slot) for step in (turns.next_step(), turns.next_step())] == [(Kind.PREFILL, 2), (Kind.DECODE, 1)]


def test_whose_prompt_is_read_first_gets_its_first_token_first():
    turns = scheduler()
    for name in "ab":
        turns.submit(request(name, [1, 2, 3]))

    assert [(step.kind, step.slot) for step in steps_until_idle(turns) if step.kind is not Kind.OPEN] == [
        (Kind.PREFILL, 1),
        (Kind.DECODE, 1),
        (Kind.PREFILL, 2),
        (Kind.DECODE, 2),
    ]


def test_every_request_has_its_own_turn_so_that_every_stage_has_work():
    turns = scheduler()
    for name in "abc":
        turns.submit(request(name, [1]))

    assert [step.slot for step in steps_until_idle(turns) if step.kind is Kind.DECODE] == [1, 2, 3]


def test_tokens_are_counted_and_the_answer_ends_at_its_length():
    turns = scheduler()
    turns.submit(request("a", [1, 2], max_tokens=2))
    steps_until_idle(turns)

    first, second = turns.picked(1, Picked(5)), turns.picked(1, Picked(6))

    assert [(token.index, token.token, token.finished) for token in (first, second)] == [(0, 5, None), (1, 6, "length")]
    assert steps_until_idle(turns)[-1] == Step(Kind.FREE, 1)
    assert turns.active == 0


def test_the_next_position_follows_the_prompt_and_the_answer():
    turns = scheduler()
    turns.submit(request("a", [1, 2, 3]))
    steps_until_idle(turns)

    turns.picked(1, Picked(5))

    assert turns.next_step() == Step(Kind.DECODE, 1, 3, (5,))


def test_an_answer_ends_at_an_end_token():
    turns = scheduler()
    turns.submit(request("a", [1], eos=(2,)))
    steps_until_idle(turns)

    assert turns.picked(1, Picked(2)).finished == "stop"


def test_an_answer_ends_where_the_context_is_full():
    turns = scheduler(context_tokens=4)
    turns.submit(request("a", [1, 2, 3]))
    steps_until_idle(turns)

    assert turns.picked(1, Picked(5)).finished == "length"


def test_a_prompt_that_fills_the_context_is_refused():
    refused = scheduler(context_tokens=4).submit(request("a", [1, 2, 3, 4]))

    assert refused.error == "a prompt of 4 tokens leaves no room in a context of 4"


def test_more_requests_than_places_wait_and_start_when_one_ends():
    turns = scheduler(concurrency=1)
    turns.submit(request("a", [1], max_tokens=1))
    turns.submit(request("b", [2], max_tokens=1))
    assert [step.slot for step in steps_until_idle(turns)] == [1, 1]

    turns.picked(1, Picked(5))

    assert steps_until_idle(turns) == [Step(Kind.FREE, 1), Step(Kind.OPEN, 2), Step(Kind.DECODE, 2, 0, (2,))]


def test_a_cancelled_request_frees_its_place_and_late_answers_are_nobodys():
    turns = scheduler(concurrency=1)
    turns.submit(request("a", [1]))
    turns.submit(request("b", [2]))
    steps_until_idle(turns)

    turns.cancel("a")

    assert [step.kind for step in steps_until_idle(turns)] == [Kind.FREE, Kind.OPEN, Kind.DECODE]
    assert turns.picked(1, Picked(5)) is None
    assert turns.failed(1, "late") is None
    turns.filled(1)


def test_a_request_cancelled_while_it_waits_never_starts():
    turns = scheduler(concurrency=1)
    turns.submit(request("a", [1], max_tokens=1))
    turns.submit(request("b", [2]))
    steps_until_idle(turns)

    turns.cancel("b")
    turns.picked(1, Picked(5))

    assert steps_until_idle(turns) == [Step(Kind.FREE, 1)]


def test_a_failed_slot_is_freed_and_its_request_told():
    turns = scheduler()
    turns.submit(request("a", [1]))
    steps_until_idle(turns)

    failed = turns.failed(1, "studio-2: out of memory")

    assert (failed.request, failed.error) == ("a", "studio-2: out of memory")
    assert steps_until_idle(turns) == [Step(Kind.FREE, 1)]
