"""A line to a real OpenSSH server: what it costs, and what is known when it dies."""

import os
import socket
import threading
from dataclasses import replace

import paramiko
import pytest

from macfleet.core.command import command
from macfleet.core.errors import (
    ConnectionDropped,
)
from macfleet.core.secret import Secret
from macfleet.fleet.remote import RemoteConnection
from macfleet.fleet.ssh import open_connection
from tests.fleet.sshd import wait_until


def test_one_connection_and_one_channel_per_reading(sshd, line):
    line.read([command("echo", str(number)) for number in range(30)])
    line.run([command("true"), command("false")])
    line.apply([command("true"), command("true")])

    assert line.channels_opened == 3
    wait_until(lambda: sshd.channels() == 3, "sshd has written its log")
    assert sshd.connections() == 1


def test_a_change_and_the_look_at_what_came_of_it_travel_together(line):
    made, absent, seen = line.apply([command("true")], [command("false"), command("echo", "seen")])
    failed = line.apply([command("false")], [command("echo", "never")])

    assert (made.ok, absent.ok, seen.stdout) == (True, False, "seen\n")
    assert [result.ok for result in failed] == [False]
    assert line.channels_opened == 2


def test_nothing_to_run_costs_nothing(line):
    assert line.run([]) == line.read([]) == line.apply([]) == []
    assert line.channels_opened == 0


def test_results_come_in_the_order_of_the_commands(line):
    results = line.read([command("echo", "a"), command("sh", "-c", "echo b >&2; exit 4"), command("cat", stdin=Secret("c"))])

    assert [(result.exit_status, result.stdout, result.stderr) for result in results] == [(0, "a\n", ""), (4, "", "b\n"), (0, "c", "")]


def test_results_are_told_while_the_script_still_runs(sshd, tmp_path):
    told = []
    go = tmp_path / "go"

    def tell(result):
        told.append(result.stdout)
        go.touch()

    connection = open_connection(sshd.mac, sshd.ssh, on_result=tell)
    wait_for_go = command("sh", "-c", 'until [ -e "$1" ]; do sleep 0.05; done; echo second', "sh", str(go))
    connection.run([command("echo", "first"), wait_for_go])
    connection.close()

    assert told == ["first\n", "second\n"]


def test_ten_megabytes_of_output_on_both_streams_do_not_block(line):
    (result,) = line.run([command("sh", "-c", "head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2")])

    assert (len(result.stdout), len(result.stderr)) == (10_000_000, 10_000_000)


def test_the_macs_own_path_is_kept_and_homebrews_is_added(sshd, line):
    (result,) = line.run([command("printenv", "PATH")])

    assert result.stdout.startswith(f"{sshd.directory}/bin:")
    assert f":{sshd.root}/opt/homebrew/bin:" in result.stdout


def test_the_cipher_is_gcm_and_the_socket_does_not_wait(line):
    transport = line._line._transport

    assert transport.remote_cipher == "aes128-gcm@openssh.com"
    assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_mac_that_dies_in_the_middle_says_what_is_known(sshd, line, tmp_path):
    started = tmp_path / "started"
    threading.Thread(target=lambda: (wait_until(started.exists, "the command runs"), sshd.kill_sessions()), daemon=True).start()

    with pytest.raises(ConnectionDropped) as raised:
        line.run([command("echo", "one"), command("sh", "-c", 'touch "$1"; sleep 300', "sh", str(started)), command("echo", "three")])

    error = raised.value
    assert error.mac == "studio-1"
    assert error.what.startswith("the connection dropped before `sh -c")
    assert error.truths[0] == "`echo one` had ended with 0"
    assert error.truths[1].startswith("nobody knows whether `sh -c")
    assert error.truths[2] == "1 more were not started"
    assert not line.is_open


def test_a_mac_that_falls_silent_is_noticed(sshd, line, tmp_path):
    hasty = RemoteConnection(sshd.mac, line._line, quiet_s=0.2, patience_s=0.5)
    started = tmp_path / "started"
    frozen = []
    freezer = threading.Thread(
        target=lambda: (wait_until(started.exists, "the command runs"), frozen.extend(sshd.freeze_sessions())), daemon=True
    )
    freezer.start()

    with pytest.raises(ConnectionDropped, match="the Mac has said nothing for 1 s"):
        hasty.run([command("sh", "-c", 'touch "$1"; sleep 300', "sh", str(started))])

    freezer.join()
    sshd.thaw(frozen)


def test_a_silent_command_is_not_a_silent_mac(sshd, line):
    patient = RemoteConnection(sshd.mac, line._line, quiet_s=0.1, patience_s=20)

    (result,) = patient.run([command("sleep", "1")])

    assert result.ok


def test_a_resting_line_wakes_nobody_and_still_ends_at_once(line):
    transport = line._line._transport

    resting_s = transport.sock.gettimeout()
    line.close()

    assert resting_s > 2
    wait_until(lambda: not transport.is_alive(), "its thread has ended", deadline_s=resting_s / 2)


class RunsNothing(paramiko.ServerInterface):
    """Lets everybody in and refuses every command."""

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, channel):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, words):
        return False


def test_a_server_that_runs_no_commands_is_noticed_at_once(sshd):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            transport = paramiko.Transport(server.accept()[0])
            transport.add_server_key(paramiko.PKey.from_path(sshd.host_key))
            transport.start_server(server=RunsNothing())

        threading.Thread(target=serve, daemon=True).start()
        mac = replace(sshd.mac, port=server.getsockname()[1])
        known = sshd.known_hosts.read_text().replace(str(sshd.port), str(mac.port))
        sshd.known_hosts.write_text(known)
        connection = open_connection(mac, sshd.ssh)

        with pytest.raises(ConnectionDropped, match="the connection dropped before `true` finished"):
            connection.run([command("true")])

        connection.close()


def test_a_login_shell_that_is_none_is_said(make_sshd):
    sshd = make_sshd(options=("ForceCommand echo 'This account is currently not available.'; exit 1",))
    connection = open_connection(sshd.mac, sshd.ssh)

    with pytest.raises(
        ConnectionDropped, match=r"login shell ended with 1 instead of running `sh`: This account is currently not available\."
    ):
        connection.run([command("true")])

    connection.close()


def test_aborting_stops_the_command_and_keeps_the_line(line, tmp_path):
    pid_file = tmp_path / "pid"
    stopper = threading.Thread(target=lambda: (wait_until(pid_file.exists, "the command runs"), line.abort()), daemon=True)
    stopper.start()

    with pytest.raises(ConnectionDropped):
        line.run([command("sh", "-c", 'echo $$ >"$1.new"; mv "$1.new" "$1"; exec sleep 300', "sh", str(pid_file))])

    stopper.join()
    assert line.run([command("echo", "still here")])[0].stdout == "still here\n"
    wait_until(lambda: not is_alive(int(pid_file.read_text())), "the command is stopped on the Mac")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
