import pytest

from macfleet.core.errors import MacfleetError, ServiceFailed
from macfleet.inventory.mac import Mac
from macfleet.serving.canary import choose_canary, run_canary
from macfleet.serving.gateway import open_gateway
from tests.serving.small_mac import SmallMac, StubGateway
from tests.serving.test_services import deployed

MAC = Mac("studio-1", "10.0.0.1", "Mac15,14", 1)
SMALL = choose_canary(10**8, 4096)
LARGE = choose_canary(10**11, 32768)


@pytest.fixture
def stub():
    stub = StubGateway()
    yield stub
    stub.close()


@pytest.fixture
def gateway(stub):
    with open_gateway(MAC, SmallMac(port=stub.port), deployed()) as gateway:
        yield gateway


def test_health_is_an_answer_also_when_it_is_not_good(stub, gateway):
    stub.state = "assembling"

    assert (gateway.health().state, gateway.health().is_ready) == ("assembling", False)


def test_a_gateway_that_is_away_is_silent_and_no_exception():
    with open_gateway(MAC, SmallMac(port=1), deployed()) as gateway:
        assert gateway.health().state == "silent"


def test_an_answer_streams_piece_by_piece(stub, gateway):
    stub.text = ["Paris", " it", " is"]

    assert list(gateway.stream([{"role": "user", "content": "?"}])) == ["Paris", " it", " is"]


@pytest.mark.parametrize(
    ("text", "finish", "said"),
    [(["Par", {"error": {"message": "studio-2 was lost"}}], "", "studio-2 was lost"), (["Par"], "broken", "the connection to the gateway")],
)
def test_an_answer_that_breaks_off_is_an_error_behind_what_came(stub, gateway, text, finish, said):
    stub.text, stub.finish = text, finish
    pieces = gateway.stream([{"role": "user", "content": "?"}])

    assert next(pieces) == "Par"
    with pytest.raises(ServiceFailed, match=said):
        next(pieces)


@pytest.mark.parametrize(
    ("refuses", "exit_code", "said"),
    [
        ((400, "your prompt has 9000 tokens"), 2, "the gateway does not take the question: your prompt has 9000 tokens"),
        ((503, "studio-2 is away"), 3, "the gateway refused with HTTP 503: studio-2 is away"),
    ],
)
def test_a_wrong_question_is_told_from_a_service_that_is_not_well(stub, gateway, refuses, exit_code, said):
    stub.refuses = refuses

    with pytest.raises(MacfleetError) as refused:
        list(gateway.stream([{"role": "user", "content": "?"}]))

    assert (refused.value.exit_code, str(refused.value)) == (exit_code, said)


def test_the_key_is_read_from_the_head_and_shown_to_nobody():
    mac = SmallMac(files={"/opt/macfleet/services/chat/gateway.json": b'{"api_key": "sk-hush"}'})

    with open_gateway(MAC, mac, deployed(needs_key=True)) as gateway:
        assert gateway._http.headers["authorization"] == "Bearer sk-hush"


def test_a_head_without_the_key_says_what_to_do():
    mac = SmallMac(files={"/opt/macfleet/services/chat/gateway.json": b"{}"})

    with pytest.raises(MacfleetError, match="does not say the service's key"), open_gateway(MAC, mac, deployed(needs_key=True)):
        pass


def test_a_model_that_reads_gets_a_needle_in_thousands_of_tokens():
    assert LARGE.kind == "needle"
    assert len(LARGE.prompt) > 15000
    assert LARGE.prompt.count("heliotrope-7391") == 1


@pytest.mark.parametrize(("weights", "context"), [(10**8, 4096), (10**11, 256)])
def test_a_model_or_context_too_small_for_a_needle_is_asked_the_same_twice(weights, context):
    canary = choose_canary(weights, context)

    assert canary.kind == "same-twice"
    assert len(canary.prompt) < 3 * context + 120


def test_the_needle_must_come_back(stub, gateway):
    stub.text = "It is Heliotrope-7391."
    assert run_canary(gateway, LARGE).kind == "needle"

    stub.text = "the the the"
    with pytest.raises(ServiceFailed, match="not from what it was given") as failed:
        run_canary(gateway, LARGE)
    assert 'the model said "the the the"' in failed.value.truths[0]


def test_the_same_prompt_must_give_the_same_answer(stub, gateway):
    assert run_canary(gateway, SMALL).answer == "four five six"

    answers = iter(["four", "five"])
    stub.text = lambda: next(answers)
    with pytest.raises(ServiceFailed, match="gave two answers"):
        run_canary(gateway, SMALL)


def test_tokens_that_were_lost_on_the_way_are_noticed(stub, gateway):
    stub.count = 7

    with pytest.raises(ServiceFailed, match="8 tokens were asked for, 7 came"):
        run_canary(gateway, SMALL)


def test_after_a_reboot_the_answer_must_be_that_of_the_deployment(stub, gateway):
    assert run_canary(gateway, SMALL, "four five six").sentence.endswith("as at its deployment")

    with pytest.raises(ServiceFailed, match="does not say any more what it said"):
        run_canary(gateway, SMALL, "four five seven")
