from dataclasses import replace

import pytest

from macfleet.engines.protocol import Assemble, Broken, Heartbeat, Hello, Leaving, Ready, Reset
from macfleet.gateway.gang import ASSEMBLY_TIMEOUT_S, PAUSE_AFTER_BROKEN_S, Gang, Phase, Seat, hear, tick, unreachable

START = 1000.0
TIMEOUT_S = 3.0


def gang_of(world, epoch=0):
    return Gang(tuple(Seat(rank, f"studio-{rank + 1}", rank * 4, rank * 4 + 4) for rank in range(world)), epoch=epoch)


def hello(rank, pid=7, **changes):
    values = {
        "rank": rank,
        "mac": f"studio-{rank + 1}",
        "pid": pid,
        "version": "1",
        "kind": "tcp",
        "data_endpoint": f"tcp://10.0.0.{rank + 1}:5000",
        "data_public_key": f"key-{rank}",
        "first_layer": rank * 4,
        "last_layer": rank * 4 + 4,
    }
    return Hello(**(values | changes))


def beat(rank, epoch=0, pid=7):
    return Heartbeat(rank=rank, pid=pid, epoch=epoch, active=0, busy_s=None, rss_bytes=1)


def hear_all(gang, *messages, now=START):
    turn = None
    for message in messages:
        turn = hear(turn.gang if turn else gang, message, now)
    return turn


def ready_gang(world):
    gang = hear_all(gang_of(world), *(hello(rank) for rank in range(world))).gang
    return hear_all(gang, *(Ready(rank=rank, epoch=gang.epoch) for rank in range(world))).gang


def sent(turn):
    return {rank: type(message) for rank, message in turn.sends}


def test_an_incomplete_gang_waits_and_says_for_whom():
    turn = hear(gang_of(2), hello(0), START)

    assert turn.gang.phase is Phase.WAITING
    assert turn.sends == ()
    assert turn.gang.why_not_ready() == "waiting for the worker on studio-2 (rank 1)"


def test_a_complete_gang_is_assembled_into_a_ring():
    turn = hear_all(gang_of(3), hello(0), hello(2), hello(1))

    assert (turn.gang.phase, turn.gang.epoch) == (Phase.ASSEMBLING, 1)
    assert dict(turn.sends)[2] == Assemble(
        epoch=1, next_endpoint="tcp://10.0.0.1:5000", next_public_key="key-0", previous_public_key="key-1"
    )
    assert dict(turn.sends)[0].next_endpoint == "tcp://10.0.0.2:5000"
    assert dict(turn.sends)[0].previous_public_key == "key-2"


def test_a_gang_of_one_links_to_nobody():
    turn = hear(gang_of(1), hello(0), START)

    assert turn.sends == ((0, Assemble(epoch=1)),)


def test_a_gang_is_ready_when_every_link_is_proved():
    gang = hear_all(gang_of(2), hello(0), hello(1)).gang

    half = hear(gang, Ready(rank=1, epoch=1), START).gang
    whole = hear(half, Ready(rank=0, epoch=1), START).gang

    assert half.phase is Phase.ASSEMBLING
    assert "studio-1" in half.why_not_ready()
    assert "studio-2" not in half.why_not_ready()
    assert (whole.phase, whole.why_not_ready()) == (Phase.READY, "")


def test_a_ready_of_an_older_epoch_is_history():
    gang = hear_all(gang_of(1, epoch=5), hello(0)).gang

    assert hear(gang, Ready(rank=0, epoch=5), START).gang == gang


@pytest.mark.parametrize("what", [Leaving(rank=1), Broken(rank=1, epoch=1, error="the link ended")])
def test_a_worker_that_cannot_go_on_ends_the_epoch_for_all(what):
    turn = hear(ready_gang(3), what, START)

    assert (turn.gang.phase, turn.gang.epoch) == (Phase.WAITING, 2)
    assert "studio-2" in turn.interrupted
    assert sent(turn)[0] is sent(turn)[2] is Reset


def test_a_silent_worker_is_lost():
    gang = hear_all(ready_gang(2), beat(0, 1), now=START + TIMEOUT_S + 0.1).gang

    turn = tick(gang, START + TIMEOUT_S + 0.1, TIMEOUT_S)

    assert turn.interrupted == "the worker on studio-2 (rank 1) has been silent for 3 s"
    assert sent(turn) == {0: Reset}
    assert turn.gang.why_not_ready() == "waiting for the worker on studio-2 (rank 1)"


def test_a_worker_without_a_connection_is_lost_at_once():
    turn = unreachable(ready_gang(2), 0, START)

    assert turn.interrupted == "the worker on studio-1 (rank 0) has closed its connection"
    assert sent(turn) == {1: Reset}


def test_a_worker_that_beats_is_not_lost():
    gang = ready_gang(1)

    assert tick(gang, START + TIMEOUT_S, TIMEOUT_S).gang == gang


def test_a_worker_that_comes_back_makes_the_gang_complete_again():
    gang = hear(ready_gang(2), Leaving(rank=1), START).gang

    turn = hear(gang, hello(1, pid=8), START)

    assert (turn.gang.phase, turn.gang.epoch) == (Phase.ASSEMBLING, 3)
    assert sent(turn) == {0: Assemble, 1: Assemble}


def test_a_worker_that_restarts_unnoticed_interrupts_and_assembles_at_once():
    turn = hear(ready_gang(2), hello(1, pid=8), START)

    assert turn.interrupted == "the worker on studio-2 (rank 1) started anew"
    assert turn.gang.phase is Phase.ASSEMBLING
    assert sent(turn) == {0: Assemble, 1: Assemble}


def test_a_worker_that_greets_again_has_lost_its_requests():
    turn = hear(ready_gang(2), hello(1), START)

    assert turn.interrupted == "the worker on studio-2 (rank 1) connected anew"
    assert turn.gang.phase is Phase.ASSEMBLING


def test_a_worker_that_was_only_asleep_is_taken_back_without_a_new_hello():
    asleep = tick(hear_all(ready_gang(2), beat(0), now=START + 4).gang, START + 4, TIMEOUT_S).gang

    turn = hear(asleep, beat(1, 1), START + 5)

    assert turn.gang.phase is Phase.ASSEMBLING
    assert sent(turn) == {0: Assemble, 1: Assemble}


def test_a_broken_gang_pauses_before_it_tries_again():
    gang = hear(ready_gang(1), Broken(rank=0, epoch=1, error="the link ended"), START).gang
    gang = hear(gang, beat(0, 1), START + PAUSE_AFTER_BROKEN_S).gang

    assert tick(gang, START + PAUSE_AFTER_BROKEN_S / 2, TIMEOUT_S).gang.phase is Phase.WAITING
    assert tick(gang, START + PAUSE_AFTER_BROKEN_S, TIMEOUT_S).gang.phase is Phase.ASSEMBLING


def test_a_second_report_of_the_same_break_changes_nothing():
    gang = hear(ready_gang(2), Broken(rank=0, epoch=1, error="the link ended"), START).gang

    turn = hear(gang, Broken(rank=1, epoch=1, error="so did mine"), START)

    assert (turn.gang.epoch, turn.sends, turn.interrupted) == (gang.epoch, (), None)


def test_an_assembly_that_never_ends_begins_anew():
    gang = hear_all(gang_of(1), hello(0)).gang
    late = START + ASSEMBLY_TIMEOUT_S + 1
    gang = hear(gang, beat(0, 1), late).gang

    turn = tick(gang, late, TIMEOUT_S)

    assert (turn.gang.phase, turn.gang.epoch) == (Phase.ASSEMBLING, 2)
    assert sent(turn) == {0: Assemble}


def test_a_worker_with_the_wrong_layers_stays_out():
    turn = hear(gang_of(1), hello(0, last_layer=3), START)

    assert turn.gang.phase is Phase.WAITING
    assert turn.notes == ("the worker on studio-1 (rank 0) has layers 0-3, not 0-4: it stays out until it is deployed again",)


def test_a_worker_that_beats_before_its_hello_is_loading():
    turn = hear(gang_of(1), beat(0), START)

    assert (turn.gang.phase, turn.sends) == (Phase.WAITING, ())
    assert turn.gang.seats[0].beat == beat(0)


def test_a_process_that_loads_is_not_taken_for_the_one_before():
    gang = hear(ready_gang(2), Leaving(rank=1), START).gang

    turn = hear(gang, beat(1, pid=8), START + 1)

    assert (turn.gang.phase, turn.sends) == (Phase.WAITING, ())
    assert hear(turn.gang, hello(1, pid=8), START + 60).gang.phase is Phase.ASSEMBLING


def test_a_process_that_dies_while_it_loads_is_not_heard_any_more():
    gang = hear(gang_of(1), beat(0), START).gang

    turn = tick(gang, START + TIMEOUT_S + 1, TIMEOUT_S)

    assert gang.seats[0].is_heard
    assert not turn.gang.seats[0].is_heard


def test_a_process_that_was_replaced_unnoticed_ends_the_epoch():
    turn = hear(ready_gang(2), beat(1, pid=8), START + 1)

    assert turn.interrupted == "the worker on studio-2 (rank 1) started anew"
    assert sent(turn) == {0: Reset}


def test_what_a_worker_said_before_it_ended_is_remembered_until_it_is_back():
    gang = hear_all(gang_of(1), Broken(rank=0, epoch=0, error="model.safetensors is truncated"), Leaving(rank=0)).gang

    assert gang.why_not_ready() == "waiting for the worker on studio-1 (rank 0): model.safetensors is truncated"
    assert hear(gang, hello(0), START).gang.seats[0].trouble is None


def test_an_epoch_is_never_used_twice():
    gang = hear_all(gang_of(2), hello(0), beat(0, epoch=9)).gang

    assert hear(gang, hello(1), START).gang.epoch > 9


def test_a_worker_ahead_of_the_gateway_ends_the_epoch():
    turn = hear(ready_gang(2), beat(1, epoch=9), START)

    assert (turn.gang.phase, turn.gang.epoch) == (Phase.WAITING, 10)
    assert turn.interrupted == "the worker on studio-2 (rank 1) knows a later epoch, 9"


def test_a_ready_gang_is_not_disturbed_by_its_heartbeats():
    gang = ready_gang(2)

    turn = hear(gang, beat(0, 1), START + 1)

    assert turn.gang == replace(gang, seats=turn.gang.seats)
    assert (turn.sends, turn.interrupted) == ((), None)
