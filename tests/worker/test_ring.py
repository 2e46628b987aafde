"""mx.distributed's ring between real processes: what runs here of the links that Macs use over Thunderbolt."""

import json
import signal
import socket

import pytest

from tests.worker.gang import ProcessGang
from tests.worker.tiny import LLAMA, PROMPT, make_tiny, whole_model_tokens

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("models") / "llama", LLAMA)


def ring_of(world, directory):
    """The host file, on ports that the kernel says are free (the ring wants them named beforehand)."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(world)]
    hosts = [[f"127.0.0.1:{one.getsockname()[1]}"] for one in sockets]
    for one in sockets:
        one.close()
    file = directory / "ring.json"
    file.write_text(json.dumps(hosts))
    return {"ring": {"hostfile": str(file)}}


@pytest.mark.parametrize("cuts", [[0, 2, 5], [0, 1, 3, 5]], ids=str)
def test_greedy_tokens_over_a_ring_are_those_of_the_whole_model(tmp_path, model, cuts):
    expected = whole_model_tokens(model, PROMPT, 16)

    with ProcessGang(tmp_path, model, cuts, kind="ring", extra=ring_of(len(cuts) - 1, tmp_path)) as gang:
        gang.start().assemble()
        names = [gang.submit(PROMPT, 16) for _ in range(3)]
        gang.wait(lambda: all(gang.answers[name].is_over for name in names), "three answers at once")

        # A new epoch goes over the same group: nobody has to load again because the gateway was restarted.
        gang.reset()
        gang.assemble()
        again = gang.generate(PROMPT, 16)

    assert [gang.answers[name].tokens for name in names] == [expected] * 3
    assert again == expected


def test_a_ring_that_lost_a_member_starts_again_as_one(tmp_path, model):
    expected = whole_model_tokens(model, PROMPT, 8)

    with ProcessGang(tmp_path, model, [0, 1, 3, 5], kind="ring", extra=ring_of(3, tmp_path)) as gang:
        gang.start().assemble()
        assert gang.generate(PROMPT, 8) == expected

        gang.signal(1, signal.SIGKILL)
        statuses = [gang.workers[rank].wait(timeout=20) for rank in (0, 1, 2)]
        gang.hellos.clear()
        gang.start().assemble()

        assert statuses == [75, -signal.SIGKILL, 75]
        assert gang.generate(PROMPT, 8) == expected


def test_a_ring_whose_member_never_comes_ends_and_asks_to_be_started_again(tmp_path, model):
    extra = {**ring_of(2, tmp_path), "link_deadline_s": 1.0}

    with ProcessGang(tmp_path, model, [0, 2, 5], kind="ring", extra=extra) as gang:
        gang.start(0)
        gang.wait(lambda: 0 in gang.hellos, "its hello")
        gang.tell(0, gang.assemble_message(0))

        assert gang.workers[0].wait(timeout=20) == 1
        assert "if a rank is missing this process ends in 1 s" in gang.log(0)
        assert "Timeout" in gang.log(0)


def test_sigterm_ends_a_worker_that_waits_for_its_neighbour(tmp_path, model):
    with ProcessGang(tmp_path, model, [0, 2, 5], kind="ring", extra=ring_of(2, tmp_path)) as gang:
        gang.start().assemble()

        gang.signal(0)

        assert gang.workers[0].wait(timeout=20) == 0


def test_a_link_that_this_machine_cannot_make_is_an_error_and_never_a_gang_of_one(tmp_path, model):
    devices = tmp_path / "rdma.json"
    devices.write_text(json.dumps([[None, "rdma_en2"], ["rdma_en2", None]]))
    extra = {"jaccl": {"devices_file": str(devices), "coordinator": "127.0.0.1:1"}}

    with ProcessGang(tmp_path, model, [0, 2, 5], kind="jaccl", extra=extra) as gang:
        gang.start(0)
        gang.wait(lambda: 0 in gang.hellos, "its hello")
        gang.tell(0, gang.assemble_message(0))
        gang.wait(lambda: gang.broken, "its reason")

        assert gang.workers[0].wait(timeout=20) == 75
        assert "the jaccl could not begin" in gang.broken[0].error
