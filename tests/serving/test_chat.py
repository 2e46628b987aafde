import pytest

from macfleet.core.errors import ServiceFailed, Unreachable
from macfleet.serving.chat import Question, chat
from tests.serving.small_mac import SmallFleet, StubGateway
from tests.serving.test_services import deployed


@pytest.fixture
def stub():
    stub = StubGateway()
    stub.text = ["Par", "is"]
    yield stub
    stub.close()


@pytest.fixture
def fleet(tmp_path, stub):
    fleet = SmallFleet(tmp_path, "studio-1", "studio-2")
    fleet.small["studio-1"].port = stub.port
    fleet.small["studio-1"].files["/opt/macfleet/services/chat/gateway.json"] = b"{}"
    return fleet


def test_a_service_that_is_ready_is_asked_at_once(fleet):
    said = []

    assert list(chat(fleet, deployed(), Question("?"), wait_s=30, say=said.append)) == ["Par", "is"]
    assert said == []


def test_a_service_that_is_coming_back_is_waited_for_and_the_wait_is_said(fleet, stub):
    stub.state, said = "assembling", []

    def say(text):
        said.append(text)
        stub.state = "ready"

    assert list(chat(fleet, deployed(), Question("?"), wait_s=30, say=say)) == ["Par", "is"]
    assert said == ["chat: assembling; asking again, for at most 30 s"]


def test_a_head_that_is_away_is_said_with_what_can_be_done(fleet):
    fleet.small["studio-1"].is_up = False

    with pytest.raises(Unreachable, match="studio-1, the head of chat, does not answer") as failed:
        list(chat(fleet, deployed(), Question("?")))

    assert "deploy chat without it" in failed.value.hint


def test_a_gateway_at_whose_port_nobody_listens_is_not_asked_at_the_end(fleet):
    fleet.small["studio-1"].port = 1

    with pytest.raises(ServiceFailed, match="the gateway of chat on studio-1 does not answer: nothing listens at its port") as failed:
        list(chat(fleet, deployed(), Question("?"), wait_s=2))

    assert "macfleet status chat" in failed.value.hint


def test_a_service_that_stays_away_is_asked_at_the_end_and_gives_its_own_reason(fleet, stub):
    stub.state, began = "waiting", fleet.clock.monotonic()

    answer = list(chat(fleet, deployed(), Question("?"), wait_s=3))

    assert 3 <= fleet.clock.monotonic() - began < 4
    assert answer == ["Par", "is"]  # whoever answers at the port is asked: its refusal says best what is wrong
