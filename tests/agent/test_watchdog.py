import json
from pathlib import Path

import pytest

from macfleet.agent.watchdog import Watchdog
from macfleet.core.clock import HandClock
from macfleet.core.paths import MacPaths
from macfleet.health.watchdog import Action

PID = 4711


class Launchd:
    """One that runs whatever it is told to, and remembers what was asked of it."""

    def __init__(self):
        self.pids = {}
        self.questions = []
        self.signals = []

    def running_pid(self, label):
        self.questions.append(label)
        pid = self.pids.get(label)
        if isinstance(pid, Exception):
            raise pid
        return pid

    def signal(self, action, label):
        self.signals.append((action, label))


class OneMac:
    """A Mac with services in a directory, on a clock moved by hand."""

    def __init__(self, root):
        self.paths = MacPaths(str(root))
        self.clock = HandClock()
        self.launchd = Launchd()
        self.is_disk_full = False
        self.watchdog = Watchdog(self.paths, self.clock, self.launchd, can_write=lambda directory: not self.is_disk_full)

    def deploy(self, service, pid=PID):
        directory = self.directory(service)
        directory.mkdir(parents=True)
        worker = {"service": service, "rank": 0, "heartbeat_file": str(directory / "heartbeat.json")}
        (directory / "worker.json").write_text(json.dumps(worker))
        self.launchd.pids[self.label(service)] = pid

    def deploy_gateway(self, service, **config):
        self.directory(service).mkdir(parents=True, exist_ok=True)
        (self.directory(service) / "gateway.json").write_text(json.dumps({"service": service, **config}))
        self.launchd.pids[f"dev.macfleet.{service}.gateway"] = PID

    def beat(self, service, pid=PID):
        beat = {"pid": pid, "time": self.clock.now(), "busy_since": None, "epoch": 1}
        (self.directory(service) / "heartbeat.json").write_text(json.dumps(beat))

    def live(self, seconds, *beating):
        for _ in range(seconds):
            self.clock.sleep(1)
            for service in beating:
                self.beat(service)
            self.watchdog.look()

    def directory(self, service):
        return Path(self.paths.service(service))

    def label(self, service):
        return f"dev.macfleet.{service}.worker"


@pytest.fixture
def mac(tmp_path):
    return OneMac(tmp_path)


def test_a_mac_without_services_is_no_error(mac):
    mac.live(3)

    assert mac.launchd.questions == []


def test_a_worker_that_beats_costs_launchd_no_question(mac):
    mac.deploy("chat")

    mac.live(60, "chat")

    assert mac.launchd.questions == mac.launchd.signals == []


def test_a_frozen_worker_is_ended_and_its_neighbour_is_not(mac):
    mac.deploy("chat")
    mac.deploy("code")
    mac.live(10, "chat", "code")

    mac.live(7, "code")

    assert mac.launchd.signals == [(Action.TERMINATE, "dev.macfleet.chat.worker")]


def test_a_frozen_gateway_is_ended_and_the_worker_beside_it_is_not(mac):
    mac.deploy("chat")
    heartbeat = mac.directory("chat") / "gateway-heartbeat.json"
    mac.deploy_gateway("chat", heartbeat_file=str(heartbeat))
    heartbeat.write_text(json.dumps({"pid": PID, "time": 1.0, "busy_since": None, "epoch": 1}))

    mac.live(9, "chat")

    assert mac.launchd.signals == [(Action.TERMINATE, "dev.macfleet.chat.gateway")]


def test_a_gateway_that_was_deployed_before_gateways_had_a_heartbeat_is_left_alone(mac):
    mac.deploy_gateway("chat")

    mac.live(300)

    assert mac.launchd.signals == []


def test_on_a_full_disk_nobody_is_ended_because_no_heartbeat_can_be_written(mac):
    mac.deploy("chat")
    mac.live(3, "chat")

    mac.is_disk_full = True
    mac.live(300)
    mac.is_disk_full = False
    mac.live(4)

    assert mac.launchd.signals == []


def test_a_frozen_worker_that_stays_is_killed(mac):
    mac.deploy("chat")
    mac.live(3, "chat")

    mac.live(30)

    assert [action for action, _ in mac.launchd.signals] == [Action.TERMINATE, Action.KILL]


def test_a_worker_that_was_restarted_is_well_again(mac):
    mac.deploy("chat")
    mac.live(3, "chat")
    mac.live(6)
    mac.launchd.pids[mac.label("chat")] = 4712

    mac.live(60)
    mac.beat("chat", pid=4712)
    mac.live(1)

    assert mac.launchd.signals == [(Action.TERMINATE, "dev.macfleet.chat.worker")]


def test_a_stopped_service_is_left_alone(mac):
    mac.deploy("chat", pid=None)

    mac.live(60)

    assert mac.launchd.signals == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"service": "chat"}', "\0\xff", '{"service": "chat", "heartbeat_file": 7}'])
def test_a_half_written_config_is_looked_at_again_later(mac, text):
    mac.deploy("chat")
    mac.beat("chat")
    whole = (mac.directory("chat") / "worker.json").read_text()
    (mac.directory("chat") / "worker.json").write_text(text)

    mac.live(10)
    (mac.directory("chat") / "worker.json").write_text(whole)
    mac.live(7)

    assert mac.launchd.signals == [(Action.TERMINATE, "dev.macfleet.chat.worker")]


def test_a_half_written_heartbeat_is_no_reason_to_act(mac):
    mac.deploy("chat")
    mac.live(3, "chat")

    (mac.directory("chat") / "heartbeat.json").write_text('{"pid": 47')
    mac.live(3)
    mac.live(3, "chat")

    assert mac.launchd.signals == []


def test_one_broken_service_does_not_hide_another(mac, caplog):
    mac.deploy("chat", pid=OSError("out of processes"))
    mac.deploy("code")

    mac.live(130)

    assert (Action.TERMINATE, "dev.macfleet.code.worker") in mac.launchd.signals
    assert "one look failed" in caplog.text


def test_after_the_agent_was_held_up_nobody_is_ended_for_it(mac):
    mac.deploy("chat")
    mac.live(3, "chat")

    mac.clock.sleep(3600)
    mac.live(1)
    mac.live(5, "chat")

    assert mac.launchd.signals == []


def test_a_service_that_is_gone_is_forgotten(mac):
    mac.deploy("chat")
    mac.live(3, "chat")
    (mac.directory("chat") / "worker.json").unlink()

    mac.live(60)

    assert mac.launchd.questions == []
