import json

import pytest

from macfleet.core.errors import Unparsable
from macfleet.macos.system_profiler import THUNDERBOLT, Peer, Port, generation, parse_thunderbolt
from tests.macos.recordings import recorded

STUDIO = "thunderbolt/sp_thunderbolt.mac_studio_m3ultra.connected_mbp_and_drive.json"
MACBOOK = "thunderbolt/sp_thunderbolt.mbp_m5max_mac17_7.connected_m3ultra.json"
RDMA_OFF_HERE = "thunderbolt/sp_thunderbolt.mbp_m5max.rdma_disabled_here_enabled_on_peer.macos27.json"
WITHOUT_UUIDS = "thunderbolt/sp_thunderbolt.mbp_tb5.no_devices.macos26.6.1.trimmed.json"
THUNDERBOLT_4 = "thunderbolt/sp_thunderbolt.tb4.one_bus.excerpt.json"


def test_six_ports_of_a_studio_come_in_the_order_of_their_numbers():
    ports = parse_thunderbolt(recorded(STUDIO))

    assert [port.receptacle for port in ports] == [1, 2, 3, 4, 5, 6]
    assert ports[0] == Port(1, "57AE1A4C-B830-48D1-90DD-A3EDB8AC8DFC", None, 120, None, False)


def test_a_mac_at_the_other_end_is_named_with_its_rdma():
    port = parse_thunderbolt(recorded(STUDIO))[1]

    assert (port.speed_gb_s, port.max_gb_s, port.connected) == (80, None, True)
    assert port.peer == Peer("817DCFA4-B481-4100-80FC-91C7AA969F0B", "Mac17,7", has_rdma=True, via_hub=False)


def test_a_drive_is_connected_but_no_peer():
    port = parse_thunderbolt(recorded(STUDIO))[3]

    assert (port.connected, port.speed_gb_s, port.peer) == (True, 80, None)


def test_both_ends_of_one_cable_name_each_other():
    studio, macbook = parse_thunderbolt(recorded(STUDIO))[1], parse_thunderbolt(recorded(MACBOOK))[0]

    assert studio.peer.domain_uuid == macbook.domain_uuid
    assert macbook.peer.domain_uuid == studio.domain_uuid


def test_the_service_of_rdma_speaks_of_the_peer_not_of_this_mac():
    # This MacBook has RDMA off; what it sees is that the other one has it on.
    macbook, studio = parse_thunderbolt(recorded(RDMA_OFF_HERE))[1], parse_thunderbolt(recorded(MACBOOK))[0]

    assert macbook.peer.has_rdma
    assert not studio.peer.has_rdma


def test_the_ports_of_a_dock_are_not_the_macs():
    ports = parse_thunderbolt(recorded(RDMA_OFF_HERE))

    assert [(port.receptacle, port.connected, port.peer is not None) for port in ports] == [
        (1, False, False),
        (2, True, True),
        (3, True, False),
    ]


def test_a_port_without_uuid_is_a_port():
    assert parse_thunderbolt(recorded(WITHOUT_UUIDS)) == (Port(1, max_gb_s=120), Port(2, max_gb_s=120), Port(3, max_gb_s=120))


def test_a_port_number_is_read_and_not_counted():
    assert parse_thunderbolt(recorded(THUNDERBOLT_4)) == (Port(3, "5693EDBE-82A0-4A7D-ADD4-E861D14CBE36", max_gb_s=40),)


@pytest.mark.parametrize(("name", "wanted"), [(STUDIO, 5), (MACBOOK, 5), (WITHOUT_UUIDS, 5), (THUNDERBOLT_4, 4)])
def test_the_best_port_tells_the_generation(name, wanted):
    assert generation(parse_thunderbolt(recorded(name))) == wanted


def test_a_slow_cable_hides_the_generation():
    assert generation([Port(1, speed_gb_s=40, connected=True)]) is None


def bus(number="1", **more):
    receptacle = {"receptacle_id_key": number, "receptacle_status_key": "receptacle_connected", "current_speed_key": "80 Gb/s"}
    return {"_name": "thunderboltusb4_bus_0", "receptacle_1_tag": receptacle, **more}


def printed(*buses):
    return json.dumps({"SPThunderboltDataType": list(buses)}, ensure_ascii=False)


def test_a_mac_behind_a_hub_is_found_one_level_deeper():
    mac = {"domain_uuid_key": "B", "device_name_key": "Mac16,9", "services_title": [{"protocol_id_key": 64087}]}
    hub = {"_name": "Häfen 5 ﻿Hub", "mode_key": "usb_four_v2", "_items": [mac]}

    (port,) = parse_thunderbolt(printed(bus(_items=[hub])))

    assert port.peer == Peer("B", "Mac16,9", has_rdma=True, via_hub=True)


def test_further_macs_behind_the_same_hub_are_kept():
    hub = {"_items": [{"domain_uuid_key": "B", "device_name_key": "Mac16,9"}, {"domain_uuid_key": "C", "device_name_key": "Mac16,11"}]}

    (port,) = parse_thunderbolt(printed(bus(_items=[hub])))

    assert [peer.model_identifier for peer in port.peers] == ["Mac16,9", "Mac16,11"]


def test_an_older_macos_writes_the_width_behind_the_speed():
    receptacle = {
        "receptacle_id_key": "3",
        "receptacle_status_key": "receptacle_no_devices_connected",
        "current_speed_key": "Up to 40 Gb/s x1",
    }

    assert parse_thunderbolt(printed(bus(receptacle_1_tag=receptacle)))[0].max_gb_s == 40


def test_a_virtual_machine_has_no_ports():
    assert parse_thunderbolt('{"SPThunderboltDataType" : []}') == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[]", "a list instead of an object"),
        ("{}", "no SPThunderboltDataType list"),
        (printed(bus(number="")), "has no port number"),
        (printed(bus(number="left back")), "has no port number"),
        (printed(bus("1"), bus("1")), "the same port number"),
        (printed(bus(receptacle_2_tag={"receptacle_id_key": "2"})), "has 2 ports; an Intel Mac"),
    ],
)
def test_what_it_does_not_understand_it_refuses_by_name(text, reason):
    with pytest.raises(Unparsable, match=reason):
        parse_thunderbolt(text)


def test_the_question_is_asked_in_json():
    assert THUNDERBOLT.commands[0].shell() == "system_profiler SPThunderboltDataType -json"
