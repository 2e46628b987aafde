from macfleet.engines.protocol import Failed, Submit, Token
from macfleet.worker.engine import NotPicked, Picked, Reach, Reuse
from macfleet.worker.frames import Kind, Member
from macfleet.worker.scheduler import Limits, Scheduler, Step

STEP_S = 0.01


def scheduler(world=2, concurrency=4, chunk_tokens=4, chunks_ahead=2, context_tokens=64, **limits):
    return Scheduler(1, world, Limits(concurrency, context_tokens, chunk_tokens, chunks_ahead, **limits))


def request(name, prompt, max_tokens=8, eos=()):
    return Submit(request=name, epoch=1, prompt=tuple(prompt), max_tokens=max_tokens, eos=eos)


def steps_until_idle(turns):
    steps = []
    while (step := turns.next_step(0.0)) is not None:
        steps.append(step)
    return steps


def computed(steps):
    return [step for step in steps if step.kind in (Kind.PREFILL, Kind.DECODE)]


def answer(turns, step, *tokens):
    """What the last rank picked for a lane's step."""
    world = len(turns.costs.stages)
    return turns.picked(step.slot, step.members, [Picked(token) for token in tokens], (STEP_S,) * world, STEP_S * world)


def test_a_prompt_goes_in_chunks_and_its_last_token_is_the_first_to_be_decoded():
    turns = scheduler()
    turns.submit(request("a", range(1, 8)))

    assert steps_until_idle(turns) == [
        Step(Kind.OPEN, 1),
        Step(Kind.PREFILL, 1, 0, (1, 2, 3, 4)),
        Step(Kind.PREFILL, 1, 4, (5, 6)),
        Step(Kind.DECODE, 1, tokens=(7,), members=(Member(1, 6),)),
    ]


def test_a_long_prompt_keeps_no_more_chunks_in_flight_than_the_stages_can_use():
    turns = scheduler(chunks_ahead=2)
    turns.submit(request("a", range(30)))

    assert [step.position for step in computed(steps_until_idle(turns))] == [0, 4]
    turns.filled(1, 4, (STEP_S, STEP_S))
    assert [step.position for step in steps_until_idle(turns)] == [8]


def test_running_answers_wait_for_one_chunk_at_most():
    turns = scheduler(chunks_ahead=8)
    turns.submit(request("short", [1]))
    decode = steps_until_idle(turns)[-1]
    turns.submit(request("long", range(30)))

    sent = []
    for _ in range(3):
        sent += computed(steps_until_idle(turns))
        answer(turns, decode, 5)
        decode = computed([turns.next_step(0.0)])[0]
        sent.append(decode)

    kinds = [step.kind for step in sent]
    assert Kind.PREFILL in kinds
    assert "PREFILL PREFILL" not in " ".join(kind.name for kind in kinds)


def test_requests_share_lanes_so_that_every_stage_has_one():
    turns = scheduler(concurrency=6)
    for number in range(6):
        turns.submit(request(str(number), [number]))

    lanes = computed(steps_until_idle(turns))

    assert len(lanes) == 3, "one for each of two stages, and one on the way"
    assert sorted(member.slot for lane in lanes for member in lane.members) == [1, 2, 3, 4, 5, 6]


def test_a_lane_goes_on_when_its_tokens_are_back_and_takes_in_who_waits():
    turns = scheduler(world=1)
    turns.submit(request("a", [1]))
    (lane,) = computed(steps_until_idle(turns))
    turns.submit(request("b", [7]))
    assert computed(steps_until_idle(turns)) == []

    answer(turns, lane, 5)

    assert computed(steps_until_idle(turns)) == [Step(Kind.DECODE, 1, tokens=(5, 7), members=(Member(1, 1), Member(2, 0)))]


def test_a_model_that_cannot_batch_has_a_lane_for_each_request():
    turns = scheduler(can_batch=False)
    for name in "abcd":
        turns.submit(request(name, [1]))

    assert [len(step.members) for step in computed(steps_until_idle(turns))] == [1, 1, 1, 1]


def test_tokens_are_counted_and_the_answer_ends_at_its_length():
    turns = scheduler()
    turns.submit(request("a", [1, 2], max_tokens=2))
    steps = steps_until_idle(turns)

    (first,) = answer(turns, steps[-1], 5)
    (again,) = steps_until_idle(turns)
    (second,) = answer(turns, again, 6)

    assert [(token.index, token.token, token.finished) for token in (first, second)] == [(0, 5, None), (1, 6, "length")]
    assert again.members == (Member(1, 2),)
    assert steps_until_idle(turns)[-1] == Step(Kind.FREE, 1)
    assert turns.active == 0


def test_an_answer_ends_at_an_end_token():
    turns = scheduler()
    turns.submit(request("a", [1], eos=(2,)))

    (token,) = answer(turns, steps_until_idle(turns)[-1], 2)

    assert token.finished == "stop"


def test_an_answer_ends_where_the_context_is_full():
    turns = scheduler(context_tokens=4)
    turns.submit(request("a", [1, 2, 3]))

    (token,) = answer(turns, steps_until_idle(turns)[-1], 5)

    assert token.finished == "length"


def test_a_prompt_that_fills_the_context_is_refused():
    refused = scheduler(context_tokens=4).submit(request("a", [1, 2, 3, 4]))

    assert refused.error == "a prompt of 4 tokens leaves no room in a context of 4"


def test_more_requests_than_places_wait_and_start_when_one_ends():
    turns = scheduler(concurrency=1)
    turns.submit(request("a", [1], max_tokens=1))
    turns.submit(request("b", [2], max_tokens=1))
    first = steps_until_idle(turns)
    assert [step.slot for step in first if step.kind is Kind.OPEN] == [1]

    answer(turns, first[-1], 5)

    assert [step.kind for step in steps_until_idle(turns)] == [Kind.FREE, Kind.OPEN, Kind.DECODE]


def test_a_cancelled_request_frees_its_place_and_late_answers_are_nobodys():
    turns = scheduler(concurrency=1)
    turns.submit(request("a", [1]))
    turns.submit(request("b", [2]))
    late = steps_until_idle(turns)[-1]

    turns.cancel("a")

    assert [step.kind for step in steps_until_idle(turns)] == [Kind.FREE, Kind.OPEN]
    assert answer(turns, late, 5) == []
    assert [step.members for step in steps_until_idle(turns)] == [(Member(2, 0),)]
    assert turns.failed(1, (), "late") == []
    turns.filled(1, 4, (STEP_S, STEP_S))


def test_who_is_cancelled_in_a_lane_on_its_way_leaves_the_others_there():
    turns = scheduler(world=1)
    turns.submit(request("a", [1]))
    turns.submit(request("b", [2]))
    lane = steps_until_idle(turns)[-1]

    turns.cancel("a")
    (token,) = answer(turns, lane, 5, 6)

    assert (token.request, token.token) == ("b", 6)
    assert computed(steps_until_idle(turns))[0].members == (Member(2, 1),)


def test_a_request_cancelled_while_it_waits_never_starts():
    turns = scheduler(concurrency=1)
    turns.submit(request("a", [1], max_tokens=1))
    turns.submit(request("b", [2]))
    lane = steps_until_idle(turns)[-1]

    turns.cancel("b")
    answer(turns, lane, 5)

    assert steps_until_idle(turns) == [Step(Kind.FREE, 1)]


def test_a_failed_lane_fails_who_is_in_it_and_frees_their_slots():
    turns = scheduler(world=1)
    turns.submit(request("a", [1]))
    turns.submit(request("b", [1]))
    lane = steps_until_idle(turns)[-1]

    failed = turns.failed(lane.slot, lane.members, "studio-2: out of memory")

    assert failed == [Failed(request=name, epoch=1, error="studio-2: out of memory") for name in "ab"]
    assert steps_until_idle(turns) == [Step(Kind.FREE, 1), Step(Kind.FREE, 2)]


def test_a_row_without_a_token_fails_alone():
    turns = scheduler(world=1)
    turns.submit(request("a", [1]))
    turns.submit(request("b", [1]))
    lane = steps_until_idle(turns)[-1]

    failed, token = turns.picked(lane.slot, lane.members, [NotPicked("no token fits"), Picked(4)], (STEP_S,), STEP_S)

    assert isinstance(failed, Failed)
    assert isinstance(token, Token)
    assert (failed.request, token.request) == ("a", "b")


def finish(turns, name, prompt, answered):
    """A whole conversation's turn."""
    turns.submit(request(name, prompt, max_tokens=len(answered)))
    sent = []
    for token in answered:
        sent += read_through(turns)
        answer(turns, sent[-1], token)
    return sent + steps_until_idle(turns)


def read_through(turns):
    """What is sent if every chunk comes back at once."""
    sent = []
    while (step := turns.next_step(0.0)) is not None:
        sent.append(step)
        if step.kind is Kind.PREFILL:
            turns.filled(step.slot, len(step.tokens), (STEP_S,) * len(turns.costs.stages))
    return sent


def go_on(turns):
    """The same, and every lane that is on its way comes back."""
    sent = read_through(turns)
    for step in sent:
        if step.kind is Kind.DECODE:
            answer(turns, step, *[5] * len(step.members))
    return sent


def test_the_next_turn_of_a_conversation_reads_only_what_is_new():
    turns = scheduler(context_tokens=200, chunk_tokens=64)
    first = finish(turns, "a", range(40), [7, 8])
    assert first[-2:] == [Step(Kind.KEEP, 1, 1), Step(Kind.FREE, 1)]

    turns.submit(request("b", [*range(40), 7, 8, 90, 91]))

    steps = steps_until_idle(turns)
    assert steps[0] == Step(Kind.OPEN, 2, reuse=Reuse(1, 41)), "all that the caches have seen: not the newest token"
    assert [(step.kind, step.position, step.tokens) for step in steps[1:2]] == [(Kind.PREFILL, 41, (8, 90))]


def test_a_prompt_that_only_begins_alike_goes_on_from_there_if_the_model_can():
    prompts = [*range(30), 99], [*range(20), 77, 78]
    turns = scheduler(context_tokens=200, chunk_tokens=64)
    recurrent = scheduler(context_tokens=200, chunk_tokens=64, reach=Reach.WHOLE)
    for one in (turns, recurrent):
        finish(one, "a", prompts[0], [7])
        one.submit(request("b", prompts[1]))

    assert turns.next_step(0.0).reuse == Reuse(1, 20)
    assert recurrent.next_step(0.0).reuse is None


def test_what_is_kept_makes_room_for_who_runs_before_the_memory_is_taken():
    turns = scheduler(concurrency=1, context_tokens=600, chunk_tokens=512)
    finish(turns, "a", range(400), [7])

    turns.submit(request("b", range(1000, 1010), max_tokens=20))

    kinds = [step.kind for step in read_through(turns)]
    assert kinds == [Kind.OPEN, Kind.DROP, Kind.PREFILL, Kind.DECODE], "room for 256 tokens is made with the first of them"


def test_a_full_house_of_short_requests_leaves_room_for_what_is_kept():
    turns = scheduler(concurrency=4, context_tokens=1000, chunk_tokens=512)
    for number in range(3):
        finish(turns, f"kept{number}", range(number * 100, number * 100 + 90), [7, 7])

    for number in range(4):
        turns.submit(request(str(number), [5000 + number, 1], max_tokens=998))

    assert Kind.DROP not in [step.kind for step in read_through(turns)]
    assert turns.prefixes.tokens == 3 * 91


def test_every_row_of_a_lane_is_as_long_as_its_longest():
    turns = scheduler(world=1, concurrency=4, context_tokens=1200, chunk_tokens=512)
    finish(turns, "kept", range(2000, 3000), [7])
    for number, prompt in enumerate((range(800), [801], [802], [803])):
        turns.submit(request(str(number), prompt))

    sent = [step for _ in range(8) for step in go_on(turns)]

    together = next(place for place, step in enumerate(sent) if len(step.members) == 4)
    assert sent[together - 1].kind is Kind.DROP, "4 x 1055 tokens, and 1000 that are kept, of 4 x 1200"
    assert Kind.DROP not in [step.kind for step in sent[: together - 1]]


def test_no_more_states_are_kept_than_places_are_free():
    turns = scheduler(concurrency=2, context_tokens=8000, chunk_tokens=64, reach=Reach.WHOLE)

    sent = [finish(turns, str(number), range(number * 100, number * 100 + 20), [7]) for number in range(3)]

    assert [[step.position for step in steps if step.kind is Kind.DROP] for steps in sent] == [[], [], [1]]


def test_a_conversation_that_goes_on_takes_the_place_of_its_kept_state():
    turns = scheduler(concurrency=2, context_tokens=200, chunk_tokens=64, reach=Reach.WHOLE)
    for number in (1, 2):
        turns.submit(request(str(number), range(number * 100, number * 100 + 20), max_tokens=1))
    read_through(turns)

    answer(turns, Step(Kind.DECODE, 1, members=(Member(1, 19),)), 7)
    answer(turns, Step(Kind.DECODE, 2, members=(Member(2, 19),)), 7)
    for number in (2, 1):
        turns.submit(request(f"{number} again", [*range(number * 100, number * 100 + 20), 7, 8]))

    sent = steps_until_idle(turns)
    assert [step.reuse for step in sent if step.kind is Kind.OPEN] == [Reuse(2, 20), Reuse(1, 20)]
    assert [step.position for step in sent if step.kind is Kind.DROP] == [2, 1]


def test_what_a_stage_failed_to_keep_is_forgotten():
    turns = scheduler(context_tokens=200, chunk_tokens=64)
    finish(turns, "a", range(40), [7, 8])

    turns.failed(1, (), "studio-2: no memory to keep it")
    turns.submit(request("b", [*range(40), 7, 8, 90, 91]))

    assert steps_until_idle(turns)[:2] == [Step(Kind.DROP, position=1), Step(Kind.OPEN, 2)]


def test_a_prefix_that_cannot_be_gone_on_from_fails_one_request_only():
    turns = scheduler(context_tokens=200, chunk_tokens=64)
    finish(turns, "a", range(40), [7, 8])
    turns.submit(request("b", range(40)))
    turns.submit(request("c", range(40)))
    steps_until_idle(turns)

    (failed,) = turns.failed(2, (), "studio-2: the prefix 1 is not kept here")
    turns.failed(3, (), "studio-2: the prefix 1 is not kept here")
    turns.submit(request("d", range(40)))

    assert failed.request == "b"
    assert [step for step in steps_until_idle(turns) if step.kind is not Kind.FREE][:2] == [Step(Kind.DROP, position=1), Step(Kind.OPEN, 4)]


def test_whoever_is_read_first_does_not_wait_for_the_prompts_of_all_others():
    turns = scheduler(concurrency=3, chunks_ahead=8)
    turns.submit(request("short", range(1, 6)))
    turns.submit(request("long", range(100, 130)))

    sent = computed(steps_until_idle(turns))

    first_decode = next(place for place, step in enumerate(sent) if step.kind is Kind.DECODE)
    assert [member.slot for member in sent[first_decode].members] == [1]
    assert first_decode <= 2


def test_chunks_of_all_prompts_together_are_no_more_than_the_stages_can_use():
    turns = scheduler(concurrency=3, chunks_ahead=2)
    for number in range(3):
        turns.submit(request(str(number), range(number * 100, number * 100 + 30)))

    assert len(computed(steps_until_idle(turns))) == 2
    turns.filled(1, 4, (STEP_S, STEP_S))
    assert len(computed(steps_until_idle(turns))) == 1


def test_chunks_of_who_has_left_are_still_on_their_way():
    turns = scheduler(concurrency=1, chunks_ahead=2)
    turns.submit(request("a", range(30)))
    turns.submit(request("b", range(100, 130)))
    steps_until_idle(turns)

    turns.cancel("a")

    assert computed(steps_until_idle(turns)) == []
    turns.failed(1, (), "slot 1 is not open")
    assert [step.slot for step in computed(steps_until_idle(turns))] == [2]


def test_a_short_prompt_is_read_between_the_chunks_of_long_ones():
    turns = scheduler(concurrency=8, chunks_ahead=2)
    for number in range(6):
        turns.submit(request(str(number), range(number * 100, number * 100 + 50)))
    steps_until_idle(turns)
    turns.submit(request("short", [1, 2]))

    sent = []
    for _ in range(2):
        turns.filled(1, 4, (STEP_S, STEP_S))
        sent += computed(steps_until_idle(turns))

    assert 7 in [step.slot for step in sent]


def test_a_long_prompt_is_read_however_many_short_ones_come():
    turns = scheduler(world=1, concurrency=3, chunks_ahead=1, context_tokens=200)
    turns.submit(request("long", range(40), max_tokens=1))

    sent = []
    for number in range(60):
        turns.submit(request(f"short{number}", [1000 + number, 1], max_tokens=1))
        sent += go_on(turns)

    assert sum(len(step.tokens) for step in sent if step.kind is Kind.PREFILL and step.slot == 1) == 39
