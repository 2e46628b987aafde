"""The fleet lock, over real SSH servers with a `sudo` that is only a name."""

import json
import os
import socket
import subprocess
import threading
from dataclasses import replace
from datetime import datetime

import pytest

from macfleet.core.clock import HandClock
from macfleet.core.command import command
from macfleet.core.errors import CommandFailed, LockHeld
from macfleet.core.fact import Fact
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.lock import break_locks, fleet_lock, holding, read_locks
from tests.fleet.sshd import inventory_of, press_ctrl_c_when, wait_until


@pytest.fixture
def servers(make_sshd):
    servers = [make_sshd(f"studio-{number}") for number in (1, 2)]
    for server in servers:
        server.program("sudo", 'shift; exec "$@"')
    return servers


@pytest.fixture
def inventory(servers):
    return inventory_of(*servers)


@pytest.fixture
def anna(inventory):
    with Fleet(inventory, inventory.macs) as fleet:
        yield fleet


@pytest.fixture
def ben(inventory):
    with Fleet(inventory, inventory.macs) as fleet:
        yield fleet


def holders(fleet):
    return {name: lock and lock.purpose for name, lock in read_locks(fleet).values().items()}


def leave_a_lock(server, **owner):
    lock = {"who": "ben", "host": "laptop", "machine": "1", "pid": 1, "since": "2026-11-20T03:12:40+00:00", "purpose": "provision"}
    directory = server.root / "var/db/macfleet/lock"
    directory.mkdir(parents=True)
    (directory / "owner.json").write_text(json.dumps({**lock, "token": "t", **owner}))


def test_a_lock_is_held_during_the_block_and_gone_behind_it(anna):
    with fleet_lock(anna, "provision") as report:
        assert report.ok
        assert holders(anna) == {"studio-1": "provision", "studio-2": "provision"}

    assert holders(anna) == {"studio-1": None, "studio-2": None}


def test_the_lock_and_the_reading_behind_it_are_one_trip(anna):
    owner = Fact("owner", (command("cat", "owner.json"),), lambda results: results[0].stderr)
    fleet_of_one = anna.macs[0]

    with holding(anna, "provision", [fleet_of_one], reading=lambda mac: [owner]) as hold:
        trips = anna.connection(fleet_of_one).channels_opened

    assert trips == 1
    assert "No such file" in hold.facts["studio-1"][owner]


def test_a_mac_that_was_given_back_with_its_last_command_is_not_given_back_again(anna):
    with holding(anna, "provision") as hold:
        first, _ = anna.macs
        anna.connection(first).apply([command("true")], [hold.release(first)])
        hold.released(first)
        trips = anna.connection(first).channels_opened
        in_between = holders(anna)

    assert in_between == {"studio-1": None, "studio-2": "provision"}
    assert anna.connection(first).channels_opened == trips + 1  # who asked for the holders
    assert holders(anna) == {"studio-1": None, "studio-2": None}


def test_a_second_operator_is_told_who_since_when_and_how_to_break_it(anna, ben):
    with fleet_lock(anna, "rolling reboot"), pytest.raises(LockHeld) as raised, fleet_lock(ben, "provision"):
        pass

    error = raised.value
    assert error.mac == "studio-1"
    assert f"(process {os.getpid()}): rolling reboot, since " in error.truths[0]
    assert "`macfleet lock break`" in error.hint


def test_who_is_refused_leaves_the_others_lock_and_takes_his_own_pieces_along(anna, inventory):
    ben = Fleet(inventory, inventory.macs, clock=HandClock())  # he holds the first Mac and hopes a while for the second

    with ben, fleet_lock(anna, "provision", macs=inventory.macs[1:]):
        with pytest.raises(LockHeld), fleet_lock(ben, "deploy"):
            pass

        assert holders(anna) == {"studio-1": None, "studio-2": "provision"}


def test_of_two_who_start_in_the_same_moment_exactly_one_goes_on(anna, ben):
    both = threading.Barrier(2)
    won, refused = [], []

    def contend(name, fleet):
        both.wait()
        try:
            with fleet_lock(fleet, name):
                won.append(name)
                wait_until(lambda: len(refused) == 1, "the other is refused")
        except LockHeld:
            refused.append(name)

    threads = [threading.Thread(target=contend, args=pair, daemon=True) for pair in (("anna", anna), ("ben", ben))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won + refused) == ["anna", "ben"]
    assert len(won) == 1


def test_ctrl_c_releases_the_lock(anna, inventory, tmp_path):
    started = tmp_path / "started"
    press_ctrl_c_when(started.exists)

    with pytest.raises(KeyboardInterrupt), fleet_lock(anna, "provision"):
        anna.each(lambda mac, connection: connection.run([command("sh", "-c", 'touch "$1"; sleep 300', "sh", str(started))]))

    assert holders(anna) == {"studio-1": None, "studio-2": None}


def test_ctrl_c_while_a_mac_is_still_dialled_does_not_wait_for_it(anna, servers, inventory):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asleep = replace(inventory.macs[1], port=silent.getsockname()[1])
        both = replace(inventory, macs=(inventory.macs[0], asleep), ssh=replace(inventory.ssh, connect_timeout_s=300.0))
        lock = servers[0].root / "var/db/macfleet/lock"
        press_ctrl_c_when(lock.exists)

        with pytest.raises(KeyboardInterrupt), Fleet(both, both.macs) as fleet, fleet_lock(fleet, "provision"):
            pass

    assert not lock.exists()


def test_an_error_in_the_block_releases_the_lock(anna):
    with pytest.raises(ValueError, match="x"), fleet_lock(anna, "provision"):
        raise ValueError("x")

    assert holders(anna) == {"studio-1": None, "studio-2": None}


def test_a_lock_outlives_a_lost_line_and_is_released_by_a_new_one(anna, servers):
    with fleet_lock(anna, "rolling reboot"):
        servers[0].kill_sessions()
        anna.forget(anna.macs[0])

        assert holders(anna)["studio-1"] == "rolling reboot"

    assert holders(anna) == {"studio-1": None, "studio-2": None}


def test_an_unreachable_mac_is_reported_and_the_others_are_held(anna, servers):
    servers[0].stop()

    with fleet_lock(anna, "provision") as report:
        assert [outcome.ok for outcome in report] == [False, True]


def test_a_lock_can_be_broken_by_name(anna, servers):
    leave_a_lock(servers[0])

    assert break_locks(anna).values()["studio-1"].who == "ben"
    assert holders(anna) == {"studio-1": None, "studio-2": None}


def test_what_a_killed_run_of_this_very_machine_left_is_taken_over(anna, servers):
    with fleet_lock(anna, "provision"):
        own = read_locks(anna)["studio-1"].value
    gone = subprocess.Popen(["true"])
    gone.wait()
    leave_a_lock(servers[0], who=own.who, host=own.host, machine=own.machine, pid=gone.pid)

    with fleet_lock(anna, "deploy"):
        assert holders(anna) == {"studio-1": "deploy", "studio-2": "deploy"}


def test_a_lock_from_another_machine_is_never_taken_over(anna, servers):
    gone = subprocess.Popen(["true"])
    gone.wait()
    leave_a_lock(servers[0], pid=gone.pid)

    with pytest.raises(LockHeld), fleet_lock(anna, "deploy"):
        pass


def test_a_lock_without_a_name_is_held_by_somebody(anna, servers):
    (servers[0].root / "var/db/macfleet/lock").mkdir(parents=True)

    with pytest.raises(LockHeld, match="somebody else"), fleet_lock(anna, "deploy"):
        pass


def test_a_mac_whose_sudo_asks_cannot_be_locked(anna, servers):
    servers[0].program("sudo", "echo 'sudo: a password is required' >&2; exit 1")

    with pytest.raises(CommandFailed, match="sudo asks for a password on studio-1") as raised, fleet_lock(anna, "deploy"):
        pass

    assert "NOPASSWD" in raised.value.hint
    assert [error.what for error in read_locks(anna).errors().values()] == [raised.value.what]


def test_a_lock_is_below_the_macs_root(anna, servers):
    with fleet_lock(anna, "provision"):
        assert (servers[0].root / "var/db/macfleet/lock/owner.json").exists()


def test_the_sentence_says_who_and_how_long_ago(anna, servers):
    leave_a_lock(servers[0])
    lock = read_locks(anna)["studio-1"].value
    since = datetime.fromisoformat(lock.since)

    sentence = lock.sentence(now=since.timestamp() + 240)

    assert sentence == f"ben on laptop (process 1): provision, since {since.astimezone():%H:%M:%S}, 4 min ago"
