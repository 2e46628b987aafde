"""Many Macs at once, over real SSH servers and over true little fakes."""

import os
import socket
from dataclasses import dataclass, field, replace

import pytest

from macfleet.core.command import command
from macfleet.core.errors import CommandFailed, ConnectionDropped, RequestError, Unreachable
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.fleet.expect import expect_ok
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.reach import Reach
from tests.fleet.sshd import inventory_of, press_ctrl_c_when, wait_until

NAME = Fact("name", (command("id", "-un"),), lambda results: results[0].stdout.strip())
NUMBERS = Fact("numbers", (command("echo", "1"), command("echo", "2")), lambda results: [int(result.stdout) for result in results])
SLOW = Fact("slow", (command("sleep", "300", timeout_s=0.5),), lambda results: "never")


@pytest.fixture
def servers(make_sshd):
    return [make_sshd(f"studio-{number}") for number in (1, 2, 3)]


@pytest.fixture
def inventory(servers):
    return inventory_of(*servers)


@dataclass
class Watcher:
    """What an observer hears, in order."""

    heard: list = field(default_factory=list)

    def started(self, mac, doing):
        self.heard.append(("started", mac, doing))

    def result(self, mac, result):
        self.heard.append(("result", mac, result.stdout))

    def finished(self, mac, outcome):
        self.heard.append(("finished", mac, outcome.ok))


def test_every_mac_answers_in_inventory_order(inventory):
    with Fleet(inventory, inventory.macs) as fleet:
        report = fleet.each(lambda mac, connection: connection.run([command("echo", mac.name)])[0].stdout)

    assert report.values() == {"studio-1": "studio-1\n", "studio-2": "studio-2\n", "studio-3": "studio-3\n"}


def test_connections_that_are_made_at_once_do_not_disturb_each_other(servers, inventory):
    # fabric's Config is written by every Connection made with it, and reads as empty meanwhile.
    many = replace(inventory, macs=tuple(replace(inventory.macs[number % 3], name=f"mac-{number}") for number in range(24)))

    with Fleet(many, many.macs) as fleet:
        assert fleet.read(lambda mac: [NUMBERS]).ok
        configs = {id(fleet.connection(mac)._line._line.config) for mac in many.macs}

    assert len(configs) == 24


def test_a_whole_run_costs_one_connection_per_mac_and_one_channel_per_phase(servers, inventory):
    with Fleet(inventory, inventory.macs) as fleet:
        fleet.read(lambda mac: [NAME, NUMBERS])
        fleet.each(lambda mac, connection: connection.apply([command("true")]))
        fleet.read(lambda mac: [NUMBERS])

    wait_until(lambda: all(server.channels() == 3 for server in servers), "every sshd has written its log")
    assert [server.connections() for server in servers] == [1, 1, 1]


def test_facts_are_understood(inventory):
    with Fleet(inventory, inventory.macs[:1]) as fleet:
        facts = fleet.read(lambda mac: [NAME, NUMBERS, SLOW])["studio-1"].value

    assert facts[NUMBERS] == [1, 2]
    assert facts[SLOW] == Unknown("`sleep 300` was stopped: not done after its 0.5 s")


def test_a_dead_mac_has_its_outcome_and_its_neighbours_have_theirs(servers, inventory):
    servers[1].stop()

    with Fleet(inventory, inventory.macs) as fleet:
        report = fleet.read(lambda mac: [NUMBERS])

    assert [outcome.ok for outcome in report] == [True, False, True]
    assert "refuses SSH connections" in str(report["studio-2"].error)


def test_a_mac_that_dies_under_way_is_dialled_again_when_next_needed(servers, inventory):
    with Fleet(inventory, inventory.macs[:1]) as fleet:
        fleet.read(lambda mac: [NUMBERS])
        servers[0].kill_sessions()
        wait_until(lambda: not fleet.connection(inventory.macs[0]).is_open or servers[0].connections() > 1, "the end was noticed")
        report = fleet.read(lambda mac: [NUMBERS])

    assert report.ok
    assert servers[0].connections() == 2


def test_an_unreachable_mac_is_tried_once_until_it_is_forgotten(servers, inventory):
    servers[0].stop()
    mac = inventory.macs[0]

    with Fleet(inventory, [mac]) as fleet:
        assert not fleet.read(lambda mac: [NUMBERS]).ok
        servers[0].start()
        assert not fleet.read(lambda mac: [NUMBERS]).ok

        fleet.forget(mac)
        assert fleet.read(lambda mac: [NUMBERS]).ok


def test_a_probe_follows_a_mac_down_and_up(servers, inventory):
    mac = inventory.macs[0]

    with Fleet(inventory, [mac]) as fleet:
        assert fleet.probe(mac) is Reach.UP
        servers[0].stop()
        assert fleet.probe(mac) is Reach.REFUSED
        with socket.create_server(("127.0.0.1", 0)) as silent:
            assert fleet.probe(replace(mac, port=silent.getsockname()[1]), timeout_s=0.5) is Reach.TIMEOUT
        servers[0].start()
        assert fleet.probe(mac) is Reach.UP


def test_an_observer_hears_everything(inventory):
    watcher = Watcher()

    with Fleet(inventory, inventory.macs[:1], observer=watcher) as fleet:
        fleet.each(lambda mac, connection: connection.run([command("echo", "hello")]), doing="greeting")

    assert watcher.heard == [("started", "studio-1", "greeting"), ("result", "studio-1", "hello\n"), ("finished", "studio-1", True)]


def test_an_observer_hears_of_a_wait_in_which_nothing_runs(inventory):
    watcher = Watcher()

    with Fleet(inventory, inventory.macs, observer=watcher) as fleet, fleet.awaiting("chat", "answering the canary"):
        heard = list(watcher.heard)

    assert heard == [("started", "chat", "answering the canary")]
    assert watcher.heard[1:] == [("finished", "chat", True)]


def test_sudo_that_asks_for_a_password_is_one_clear_error(servers, inventory):
    servers[0].program("sudo", "echo 'sudo: a password is required' >&2; exit 1")

    with Fleet(inventory, inventory.macs[:1]) as fleet:
        report = fleet.each(lambda mac, connection: expect_ok(mac, connection.apply([command("pmset", "-a", "sleep", "0", sudo=True)])))

    error = report["studio-1"].error
    assert isinstance(error, CommandFailed)
    assert str(error) == "sudo asks for a password on studio-1, and nobody is there to type it"
    assert error.truths == ("`sudo -n pmset -a sleep 0` was not run",)
    assert "NOPASSWD" in error.hint


def test_ctrl_c_stops_the_commands_on_the_macs_and_closes_the_connections(inventory, tmp_path):
    def work(mac, connection):
        pid_file = str(tmp_path / f"{mac.name}.pid")
        return connection.run([command("sh", "-c", 'echo $$ >"$1.new"; mv "$1.new" "$1"; exec sleep 300', "sh", pid_file)])

    files = [tmp_path / f"{mac.name}.pid" for mac in inventory.macs]
    press_ctrl_c_when(lambda: all(file.exists() for file in files))

    with Fleet(inventory, inventory.macs) as fleet, pytest.raises(KeyboardInterrupt):
        fleet.each(work)

    pids = [int(file.read_text()) for file in files]
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "the commands are stopped on the Macs")


def test_at_the_end_every_connection_is_closed(servers, inventory):
    with Fleet(inventory, inventory.macs) as fleet:
        connections = [fleet.connection(mac) for mac in inventory.macs]

    assert not any(connection.is_open for connection in connections)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# Without a network: what Fleet promises whatever the connection is.


class Scripted:
    """A connection that answers each command with its own words, and counts what it is asked."""

    def __init__(self):
        self.asked = []
        self.is_open = True

    def read(self, commands):
        self.asked.append(list(commands))
        return [Result(command, 0, stdout=command.argv[-1]) for command in commands]

    def close(self):
        self.is_open = False


@pytest.fixture
def offline(sshd):
    return inventory_of(sshd)


def test_a_command_wanted_by_two_facts_is_asked_once(offline):
    connection = Scripted()
    again = Fact("again", NUMBERS.commands, lambda results: "again")

    with Fleet(offline, offline.macs, connect=lambda mac, ssh, on_result: connection) as fleet:
        facts = fleet.read(lambda mac: [NUMBERS, again, NUMBERS])["studio-1"].value

    assert connection.asked == [list(NUMBERS.commands)]
    assert (facts[NUMBERS], facts[again]) == ([1, 2], "again")


def test_a_bug_in_the_work_is_raised_when_all_are_done(offline):
    connection = Scripted()

    with pytest.raises(ZeroDivisionError), Fleet(offline, offline.macs, connect=lambda mac, ssh, on_result: connection) as fleet:
        fleet.each(lambda mac, connection: 1 / 0)

    assert not connection.is_open


def test_a_wrong_request_for_one_mac_is_its_outcome_with_its_name(offline):
    def refuse(mac, connection):
        raise RequestError("the inventory names no auth key")

    with Fleet(offline, offline.macs, connect=lambda mac, ssh, on_result: Scripted()) as fleet:
        error = fleet.each(refuse)["studio-1"].error

    assert str(error) == "studio-1: the inventory names no auth key"


def test_a_key_that_is_not_there_is_the_fault_of_the_request_and_of_no_mac(offline):
    def no_key(mac, ssh, on_result):
        raise RequestError("the SSH key x does not exist")

    with Fleet(offline, offline.macs, connect=no_key) as fleet, pytest.raises(RequestError) as raised:
        fleet.read(lambda mac: [NUMBERS])

    assert str(raised.value) == "the SSH key x does not exist"


def test_an_error_may_be_unreachable_in_one_phase_only(offline):
    def drop(mac, connection):
        raise ConnectionDropped("gone")

    with Fleet(offline, offline.macs, connect=lambda mac, ssh, on_result: Scripted()) as fleet:
        first = fleet.each(drop)
        second = fleet.read(lambda mac: [NUMBERS])

    assert isinstance(first["studio-1"].error, Unreachable)
    assert second.ok
