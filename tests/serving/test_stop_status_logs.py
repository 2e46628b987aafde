import plistlib

import pytest

from macfleet.core.units import GIB
from macfleet.engines.base import gateway_label, worker_label
from macfleet.serving.logs import follow_logs, read_logs
from macfleet.serving.roll_file import RollFile
from macfleet.serving.services import render_deployed
from macfleet.serving.status import read_status
from macfleet.serving.stop import clear_leftover, stop_service
from macfleet.window.roll import MacRoll, Roll, Step
from tests.serving.small_mac import SmallFleet, StubGateway
from tests.serving.test_services import deployed

NAMES = ("studio-1", "studio-2")
WORKER, GATEWAY = worker_label("chat"), gateway_label("chat")
SERVICES = "/opt/macfleet/services/chat"


@pytest.fixture
def stub():
    stub = StubGateway()
    yield stub
    stub.close()


@pytest.fixture
def fleet(tmp_path, stub):
    """A service as deploy leaves it: jobs, plists, secrets, weights."""
    fleet = SmallFleet(tmp_path, *NAMES)
    for mac in fleet.small.values():
        labels = [WORKER, GATEWAY] if mac.name == "studio-1" else [WORKER]
        for label in labels:
            mac.files[f"/Library/LaunchDaemons/{label}.plist"] = plistlib.dumps({"Label": label})
            mac._load(label)
        mac.files |= {f"{SERVICES}/worker.json": b"secret", "/opt/macfleet/models/m/stage-0-10.safetensors": b"weights"}
        mac.files["/var/log/macfleet/chat.worker.log"] = b"one\ntwo\nthree\n"
    head = fleet.small["studio-1"]
    head.port = stub.port
    head.files |= {f"{SERVICES}/service.json": render_deployed(deployed()).encode(), f"{SERVICES}/gateway.json": b"secret"}
    return fleet


def stop(fleet, service=None):
    return stop_service(fleet, service or deployed(), lambda text: None)


def test_a_stopped_service_leaves_only_weights_and_logs(fleet):
    report = stop(fleet)

    assert report.ok
    for mac in fleet.small.values():
        assert sorted(mac.files) == ["/opt/macfleet/models/m/stage-0-10.safetensors", "/var/log/macfleet/chat.worker.log"]
        assert mac.jobs == {}


def test_the_gateway_ends_before_any_worker(fleet):
    stop(fleet)

    bootouts = [line for line in fleet.small["studio-1"].log if "bootout" in line]
    assert [GATEWAY in bootouts[0], WORKER in bootouts[1]] == [True, True]


def test_a_mac_that_is_away_keeps_the_service_known_so_that_stop_can_be_said_again(fleet):
    fleet.small["studio-2"].is_up = False

    report = stop(fleet)

    assert list(report.errors()) == ["studio-2"]
    assert f"{SERVICES}/service.json" in fleet.small["studio-1"].files

    fleet.small["studio-2"].is_up = True
    fleet.forget(fleet.inventory.mac("studio-2"))
    assert stop(fleet).ok
    assert f"{SERVICES}/service.json" not in fleet.small["studio-1"].files


def test_a_mac_that_is_in_the_inventory_no_more_is_not_waited_for(fleet):
    assert stop(fleet, deployed(macs=(*NAMES, "studio-9"))).ok

    assert f"{SERVICES}/service.json" not in fleet.small["studio-1"].files


def test_what_a_mac_that_was_away_still_has_is_said_and_cleared_while_the_service_runs_on(fleet):
    left = fleet.small["studio-2"]
    left.files[f"{SERVICES}/service.json"] = render_deployed(deployed()).encode()
    new = deployed(macs=("studio-1",), deployed_at="2026-11-20T07:00:00+00:00")
    fleet.small["studio-1"].files[f"{SERVICES}/service.json"] = render_deployed(new).encode()

    status = read_status(fleet)
    clear_leftover(fleet.inventory.mac("studio-2"), left, status.leftovers[0].deployed, fleet.clock)

    assert (status.exit_code, status.as_json()["leftovers"][0]["mac"]) == (1, "studio-2")
    assert "which was replaced without it" in status.leftovers[0].sentence()
    assert left.jobs == {}
    assert not [path for path in left.files if path.startswith(SERVICES)]
    assert sorted(fleet.small["studio-1"].jobs) == [GATEWAY, WORKER]
    assert read_status(fleet).exit_code == 0


def test_a_service_whose_head_is_in_the_inventory_no_more_is_shown_with_what_is_left_of_it(fleet):
    fleet.small["studio-2"].files["/opt/macfleet/services/code/service.json"] = render_deployed(
        deployed("code", ("studio-9", "studio-2"))
    ).encode()

    code = read_status(fleet).as_json()["services"][1]

    assert (code["service"], code["state"]) == ("code", "unknown")
    assert code["reason"] == "its head studio-9 is not in this inventory"


def test_memory_that_stays_wired_is_said_with_the_only_cure(fleet):
    large = deployed(stages=tuple(type(stage)(stage.mac, stage.rank, 0, 1, 200 * GIB) for stage in deployed().stages))
    leaking = fleet.small["studio-2"]
    leaking.wired_bytes, leaking.leaks = 210 * GIB, True

    report = stop(fleet, large)

    assert report["studio-2"].value.warning == "studio-2 still has 210 GiB wired; only a reboot gives leaked memory back"
    assert report["studio-1"].value.warning == ""


def test_a_small_model_is_not_waited_for_on_a_mac_that_has_much_wired_anyway(fleet):
    for mac in fleet.small.values():
        mac.wired_bytes, mac.leaks = 30 * GIB, True
    began = fleet.clock.monotonic()

    report = stop(fleet)

    assert [stopped.warning for stopped in report.values().values()] == ["", ""]
    assert fleet.clock.monotonic() - began < 60


def test_status_says_what_launchd_and_the_gateway_say(fleet):
    status = read_status(fleet)

    assert status.exit_code == 0
    service = status.as_json()["services"][0]
    assert (service["service"], service["state"], service["head"]) == ("chat", "ready", "studio-1")
    assert service["endpoint"] == f"http://127.0.0.1:{deployed().port}/v1"
    assert service["macs"][0]["gateway"]["state"] == "running"
    assert service["macs"][1]["worker"]["pid"] is not None
    assert service["macs"][1]["gateway"] is None


def test_status_says_how_busy_the_stages_are_and_who_shares_a_batch(fleet, stub):
    working = {"busy_share": 0.75, "lanes": [4, 3], "stage_step_s": [0.0125, 0.0]}
    first, second = ({"mac": f"studio-{rank + 1}", "rank": rank, "state": "ready"} for rank in (0, 1))
    stub.workers = [first | {"work": working}, second | {"work": None}]

    first, second = read_status(fleet).as_json()["services"][0]["macs"]

    assert (first["busy_share"], first["lanes"]) == (0.75, [4, 3])
    assert (second["busy_share"], second["lanes"]) == (None, [])
    assert (first["step_ms"], second["step_ms"]) == (12.5, None)


def test_a_worker_that_is_down_makes_the_service_not_well(fleet):
    fleet.small["studio-2"].jobs[WORKER].update(pid=None, last_exit="1")

    status = read_status(fleet)

    assert status.exit_code == 1
    assert status.as_json()["services"][0]["macs"][1]["worker"] == {"state": "spawn scheduled", "pid": None, "runs": 1, "last_exit": 1}


def test_a_mac_that_does_not_answer_is_unknown_and_not_down(fleet):
    fleet.small["studio-2"].is_up = False

    status = read_status(fleet)

    assert status.exit_code == 3
    assert status.as_json()["services"][0]["macs"][1]["worker"] is None
    assert status.as_json()["unreachable"] == [{"mac": "studio-2", "error": "studio-2: 10.0.0.2 refuses"}]


def test_a_service_that_misses_a_mac_comes_with_the_command_that_does_without_it(fleet):
    fleet.small["studio-1"].is_up = False
    fleet.small["studio-2"].files[f"{SERVICES}/service.json"] = render_deployed(deployed()).encode()

    [service] = read_status(fleet).services

    assert service.missing == ("studio-1",)
    assert service.without_the_missing() == "macfleet deploy --model smollm2-135m --name chat --macs studio-2"


def test_a_service_whose_deployment_was_cut_off_before_its_canary_is_not_well(fleet):
    fleet.small["studio-1"].files[f"{SERVICES}/service.json"] = render_deployed(deployed(canary="")).encode()

    status = read_status(fleet)

    assert (status.exit_code, status.as_json()["services"][0]["proved"]) == (1, False)


def test_a_rolling_reboot_that_stands_is_part_of_the_status(fleet):
    RollFile(fleet.inventory).save(Roll(0.0, (MacRoll("studio-1", ("chat",), step=Step.RETURNING), MacRoll("studio-2"))))

    assert read_status(fleet).roll == ("studio-1 was told to restart and has not been seen again yet", "studio-2 was not touched")


def test_a_rolling_reboot_that_cannot_be_read_is_not_gone_on_with(fleet):
    file = RollFile(fleet.inventory)
    file.save(Roll(0.0, (MacRoll("studio-1"),)))
    file.path.write_text(file.path.read_text().replace('"drain_s": 120.0', '"drain_s": "2 min"'))

    status = read_status(fleet)

    assert status.roll[0].endswith(
        'roll.json: this is not the state of a rolling reboot: options/drain_s: "2 min" is not a number of seconds'
    )
    assert status.roll_next == "macfleet rolling-reboot --abandon"


def test_a_fleet_without_services_says_so(tmp_path):
    status = read_status(SmallFleet(tmp_path, "studio-1"))

    assert (status.exit_code, status.sentence()) == (0, "no service is deployed")


def test_logs_are_the_last_lines_of_every_job(fleet):
    report = read_logs(fleet, deployed(), 2).values()

    assert [(log.kind, log.lines) for log in report["studio-1"]] == [("gateway", ()), ("worker", ("two", "three"))]
    assert report["studio-2"][0].lines == ("two", "three")


def test_followed_lines_carry_the_mac_and_the_job(fleet):
    fleet.small["studio-1"].files["/var/log/macfleet/chat.gateway.log"] = b"hello\n"
    heard = []

    follow_logs(fleet, deployed(), 5, lambda mac, kind, line: heard.append((mac, kind, line)))

    assert ("studio-1", "gateway", "hello") in heard
    assert ("studio-1", "worker", "three") in heard
    assert not any("==>" in line for _, _, line in heard)
