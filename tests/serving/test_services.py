import json

import pytest

from macfleet.core.errors import MacfleetError, RequestError, Unparsable
from macfleet.inventory.mac import Mac
from macfleet.serving.endpoint import curl_line, endpoint, tunnel_line
from macfleet.serving.services import (
    Deployed,
    DeployedStage,
    Leftover,
    find_service,
    parse_deployed,
    read_leftovers,
    read_services,
    render_deployed,
    services_on,
    taken_by_others,
)
from tests.serving.small_mac import SmallFleet


def deployed(name="chat", macs=("studio-1", "studio-2"), **changes):
    fields = {
        "name": name, "model": "smollm2-135m", "kind": "tcp", "listen": "127.0.0.1", "port": 8080, "control_port": 8081,
        "context_tokens": 4096, "concurrency": 4, "needs_key": False, "deployed_at": "2026-11-20T06:00:00+00:00", "deployed_by": "ann",
        "canary": "passed",
        "stages": tuple(DeployedStage(mac, n, 10 * n, 10 * n + 10, 10**8) for n, mac in enumerate(macs)),
    }  # fmt: skip
    return Deployed(**{**fields, **changes})


HEAD = Mac("studio-1", "10.0.0.1", "Mac15,14", 1, user="fleet")


def test_services_behind_each_other_are_read_as_they_were_written():
    two = (deployed(), deployed("code", canary_answer="x"))

    assert parse_deployed("".join(render_deployed(one) for one in two)) == two
    assert parse_deployed("") == ()


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 9}', '{"schema": 1}', render_deployed(deployed())[:-9], "null"])
def test_a_damaged_service_is_unparsable_and_never_no_service(text):
    with pytest.raises(Unparsable, match=r"service\.json"):
        parse_deployed(text)


def test_a_field_that_an_older_macfleet_did_not_write_has_its_default():
    record = json.loads(render_deployed(deployed()))
    del record["canary_prompt"]

    assert parse_deployed(json.dumps(record)) == (deployed(),)


def test_every_mac_is_asked_for_the_services_that_it_knows(tmp_path):
    fleet = SmallFleet(tmp_path, "studio-1", "studio-2")
    fleet.small["studio-2"].files["/opt/macfleet/services/chat/service.json"] = render_deployed(deployed()).encode()

    services, report = read_services(fleet)

    assert services == {"chat": deployed()}
    assert report.ok


def test_of_two_records_the_newer_is_the_service_and_the_older_is_left_over(tmp_path):
    fleet = SmallFleet(tmp_path, "studio-1", "studio-2", "studio-3")
    old, new = deployed(), deployed(macs=("studio-2", "studio-3"), deployed_at="2026-11-20T07:00:00+00:00")
    for mac, record in (("studio-1", old), ("studio-2", new), ("studio-3", new)):
        fleet.small[mac].files["/opt/macfleet/services/chat/service.json"] = render_deployed(record).encode()

    services, report = read_services(fleet)

    assert services == {"chat": new}
    assert read_leftovers(services, report) == (Leftover("studio-1", old),)


def test_the_heads_own_word_counts_more_than_that_of_the_others(tmp_path):
    fleet = SmallFleet(tmp_path, "studio-1", "studio-2")
    for mac, record in (("studio-1", deployed(canary="passed")), ("studio-2", deployed(canary=""))):
        fleet.small[mac].files["/opt/macfleet/services/chat/service.json"] = render_deployed(record).encode()

    services, report = read_services(fleet)

    assert services["chat"].canary == "passed"
    assert read_leftovers(services, report) == ()


def test_a_service_nobody_knows_is_a_wrong_request_with_the_near_name(tmp_path):
    services, report = read_services(SmallFleet(tmp_path, "studio-1"))

    with pytest.raises(RequestError, match='there is no service "chta"') as refused:
        find_service("chta", {"chat": deployed()}, report)

    assert 'did you mean "chat"?' in refused.value.hint
    assert services == {}


def test_a_service_may_live_on_a_mac_that_does_not_answer(tmp_path):
    fleet = SmallFleet(tmp_path, "studio-1", "studio-2")
    fleet.small["studio-1"].is_up = False

    with pytest.raises(MacfleetError, match='no Mac that answers knows a service "chat"') as failed:
        find_service("chat", *read_services(fleet))

    assert failed.value.exit_code == 3
    assert failed.value.truths == ("studio-1 could not be asked: studio-1: 10.0.0.1 refuses",)


def test_services_on_a_mac_are_those_that_need_it():
    assert services_on("studio-2", [deployed(), deployed("code", ("studio-3",))]) == (deployed(),)


def test_what_others_take_on_a_mac_is_what_they_were_placed_with():
    stages = (DeployedStage("studio-1", 0, 0, 10, 100, 130),)

    assert taken_by_others("studio-1", "new", [deployed(stages=stages), deployed("new")]) == 130
    assert taken_by_others("studio-2", "new", [deployed(stages=stages)]) == 0


def test_a_gateway_on_the_loopback_of_another_mac_needs_a_tunnel():
    assert endpoint(deployed(), HEAD) == "http://127.0.0.1:8080/v1"
    assert tunnel_line(deployed(), HEAD) == "ssh -N -L 8080:127.0.0.1:8080 fleet@10.0.0.1"
    assert tunnel_line(deployed(), Mac("lab", "127.0.0.1", "x", 1, port=2222)) is None


@pytest.mark.parametrize(("listen", "host"), [("0.0.0.0", "10.0.0.1"), ("10.55.0.1", "10.55.0.1")])
def test_a_gateway_on_an_address_is_reached_there(listen, host):
    assert endpoint(deployed(listen=listen), HEAD) == f"http://{host}:8080/v1"
    assert tunnel_line(deployed(listen=listen), HEAD) is None


def test_the_curl_line_carries_a_key_only_where_one_is_wanted():
    assert "authorization" not in curl_line(deployed(), HEAD)
    assert "Bearer $API_KEY" in curl_line(deployed(needs_key=True), HEAD)
