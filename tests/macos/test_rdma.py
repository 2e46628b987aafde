"""rdma_ctl, ibv_devices, ibv_devinfo, nvram."""

import pytest

from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.macos import ibv, nvram, rdma_ctl
from tests.macos.recordings import answer, recorded


def test_the_switch_is_one_word():
    assert answer(rdma_ctl.STATUS, recorded("thunderbolt/rdma_ctl_status.enabled.txt")) is True
    assert answer(rdma_ctl.STATUS, recorded("thunderbolt/rdma_ctl_status.disabled.documented_not_captured.txt")) is False


@pytest.mark.parametrize(
    "said", ["", "enabled (pending)", recorded("ops/rdma_ctl.not_recovery.txt"), (77, ""), (127, "", "sh: rdma_ctl: not found")]
)
def test_any_other_word_is_unknown(said):
    assert isinstance(answer(rdma_ctl.STATUS, said), Unknown)


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("thunderbolt/ibv_devices.disabled_header_only.macos27.txt", []),
        ("thunderbolt/ibv_devices.m3ultra.mlx_docs.txt", ["rdma_en2", "rdma_en3", "rdma_en5", "rdma_en4", "rdma_en6", "rdma_en7"]),
        ("ops/ibv_devices.m3_ultra.txt", ["rdma_en2", "rdma_en3", "rdma_en5", "rdma_en4", "rdma_en6", "rdma_en7"]),
        ("thunderbolt/ibv_devices.mac_mini_m4pro.tn3205.txt", ["rdma_en2", "rdma_en3", "rdma_en4"]),
        ("thunderbolt/ibv_devices.mbp_m5max.enabled.macos27.txt", ["rdma_en1", "rdma_en6", "rdma_en2"]),
    ],
)
def test_devices_in_printed_order(name, devices):
    assert [device.name for device in ibv.parse_devices(recorded(name))] == devices


def test_a_device_has_its_guid():
    assert ibv.parse_devices(recorded("thunderbolt/ibv_devices.mac_mini_m4pro.tn3205.txt"))[0] == ibv.RdmaDevice(
        "rdma_en2", "e0c5797d9c8fac05"
    )


def test_no_header_is_not_no_device():
    with pytest.raises(Unparsable, match="no header line"):
        ibv.parse_devices("")


def test_all_ports_down():
    ports = ibv.parse_devinfo(recorded("thunderbolt/ibv_devinfo.mbp_m5max.all_port_down.macos27.txt"))

    assert [(port.interface, port.state, port.is_active) for port in ports] == [
        ("en1", "PORT_DOWN", False), ("en6", "PORT_DOWN", False), ("en2", "PORT_DOWN", False)
    ]  # fmt: skip


def test_all_ports_active():
    ports = ibv.parse_devinfo(recorded("thunderbolt/ibv_devinfo.active.tn3205_abridged.txt"))

    assert [(port.device, port.is_active) for port in ports] == [("rdma_en2", True), ("rdma_en3", True), ("rdma_en4", True)]


def test_the_gid_that_jaccl_uses_is_an_ipv4_address():
    (port,) = ibv.parse_devinfo(recorded("thunderbolt/ibv_devinfo_v.active.tn3205_abridged.txt"))

    assert (port.state, port.width, port.ipv4_gid) == ("PORT_ACTIVE", 8, "169.254.205.255")
    assert port.gids[0] == (0, "fe80::344d:4ff:feea:4e40")


def test_a_port_that_is_down_still_says_eight_lanes():
    ports = ibv.parse_devinfo(recorded("thunderbolt/ibv_devinfo_v_grep.tb4_mac_patched_kext.one_active.macos27.2.txt"))

    assert [(port.state, port.width) for port in ports] == [("PORT_DOWN", 8), ("PORT_DOWN", 8), ("PORT_ACTIVE", 4)]


def test_a_gid_that_is_not_an_address_is_none():
    text = "hca_id: rdma_en2\n port: 1\n state: PORT_ACTIVE (4)\n GID[  0]: ::ffff:10.0.0.1\n GID[  1]: fe80::1\n"

    assert ibv.parse_devinfo(text)[0].ipv4_gid is None


@pytest.mark.parametrize("said", [(255, "", "No IB devices found"), (0, "No IB devices found\n"), (1, "", "no ib devices found")])
def test_no_devices_is_an_answer(said):
    assert answer(ibv.PORTS, said) == ()


@pytest.mark.parametrize("said", ["", (None, ""), "hca_id: rdma_en2\n\ttransport: Thunderbolt (100)\n", (127, "", "not found")])
def test_a_driver_that_hangs_or_stops_halfway_is_unknown(said):
    assert isinstance(answer(ibv.PORTS, said), Unknown)


def test_ibv_devinfo_is_given_ten_seconds():
    assert ibv.PORTS.commands[0].timeout_s == 10


def test_the_stored_switch():
    assert answer(nvram.RDMA_ENABLE, recorded("thunderbolt/nvram_rdma-enable.enabled.txt")) is True
    assert answer(nvram.RDMA_ENABLE, (1, "", recorded("thunderbolt/nvram_rdma-enable.never_set.stderr.txt"))) is False
    assert isinstance(answer(nvram.RDMA_ENABLE, "rdma-enable\t%01"), Unknown)
