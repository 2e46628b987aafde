"""Connections against a real OpenSSH server."""

import hashlib
import itertools
import logging
import os
import socket
import struct
import subprocess
import threading
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import fabric
import paramiko
import pytest

from macfleet.core.command import command
from macfleet.core.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionDropped,
    ConnectionRefused,
    FileVaultLocked,
    HostKeyMismatch,
    HostKeyUnknown,
    RequestError,
    Unreachable,
    WeightsBroken,
)
from macfleet.core.secret import Secret
from macfleet.fleet.remote import RemoteConnection
from macfleet.fleet.ssh import Dialer, open_connection, scan_host_key
from tests.fleet.sshd import make_key, wait_until


@pytest.fixture
def line(sshd):
    """An open connection to the one server."""
    connection = open_connection(sshd.mac, sshd.ssh)
    yield connection
    connection.close()


def open_fails(sshd, error, mac=None, **ssh) -> Unreachable:
    with pytest.raises(error) as raised:
        open_connection(mac or sshd.mac, replace(sshd.ssh, **ssh))
    return raised.value


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


# Who answers: host keys.


def test_an_unknown_host_key_is_refused_with_its_fingerprint(sshd):
    sshd.known_hosts.write_text("")
    fingerprint = subprocess.run(["ssh-keygen", "-lf", sshd.host_key], capture_output=True, text=True).stdout.split()[1]

    error = open_fails(sshd, HostKeyUnknown)

    assert f"ssh-ed25519 {fingerprint}" in error.truths[0]
    assert "`macfleet inventory pin --mac studio-1`" in error.hint
    assert f"ssh-keyscan -t ed25519 -p {sshd.port} 127.0.0.1 >> {sshd.known_hosts}" in error.hint
    assert "Accepted publickey" not in sshd.log()


def test_no_known_hosts_file_means_that_nobody_is_known(sshd):
    sshd.known_hosts.unlink()

    open_fails(sshd, HostKeyUnknown)


def test_a_changed_host_key_is_refused_with_both_fingerprints(sshd, tmp_path):
    sshd.pin(make_key(tmp_path / "other").with_suffix(".pub"))

    error = open_fails(sshd, HostKeyMismatch)

    assert error.truths[0].startswith("it shows ssh-ed25519 SHA256:")
    assert error.truths[1].startswith("pinned is ssh-ed25519 SHA256:")
    assert "Accepted publickey" not in sshd.log()


def test_a_pinned_key_of_another_type_is_asked_for_first(make_sshd, tmp_path):
    rsa = make_key(tmp_path / "host_rsa", "rsa")
    sshd = make_sshd(options=(f"HostKey {rsa}",))
    sshd.pin(rsa.with_suffix(".pub"))

    open_connection(sshd.mac, sshd.ssh).close()


def test_the_host_key_can_be_looked_at_without_logging_in(sshd):
    kind, key, fingerprint = scan_host_key(sshd.mac, sshd.ssh)

    assert sshd.host_key.with_suffix(".pub").read_text().startswith(f"{kind} {key}")
    assert fingerprint.startswith("SHA256:")
    assert "Accepted publickey" not in sshd.log()


# The operator's own configuration.


@pytest.fixture
def jump(make_sshd, sshd, tmp_path):
    """`jump(lines)`: a dialer for a Mac named `inner` in ssh_config, behind a second server."""
    gate = make_sshd("gate")
    # By another name: fabric takes a jump host of the Mac's own name for the Mac itself.
    both = sshd.known_hosts.read_text() + gate.known_hosts.read_text().replace("127.0.0.1", "localhost")

    def make(*lines, known_hosts=both):
        sshd.known_hosts.write_text(known_hosts)
        (tmp_path / "config").write_text("\n".join(["Host inner", "HostName 127.0.0.1", f"Port {sshd.port}", *lines]) + "\n")
        dialer = Dialer(sshd.ssh, config=fabric.Config(runtime_ssh_path=str(tmp_path / "config")))
        return dialer, replace(sshd.mac, address="inner", port=22), gate

    return make


def test_ssh_config_says_where_a_mac_is(jump):
    dialer, mac, gate = jump()

    connection = dialer.open(mac)

    assert connection.run([command("echo", "here")])[0].stdout == "here\n"
    assert gate.connections() == 0
    connection.close()


def test_a_key_pinned_by_the_inventorys_name_is_found(jump, sshd):
    dialer, mac, _ = jump(known_hosts=f"inner {sshd.host_key.with_suffix('.pub').read_text()}")

    dialer.open(mac).close()


def test_a_jump_host_is_gone_through(jump, sshd):
    _, _, gate = jump()
    dialer, mac, _ = jump(f"ProxyJump {sshd.mac.user}@localhost:{gate.port}")

    connection = dialer.open(mac)
    answer = connection.run([command("echo", "here")])[0].stdout
    scanned = dialer.scan(mac)[1]
    connection.close()

    assert answer == "here\n"
    assert gate.connections() == 2
    assert scanned in sshd.host_key.with_suffix(".pub").read_text()


def test_a_jump_host_must_be_pinned_too(jump, sshd):
    _, _, gate = jump()
    only_the_mac = f"[127.0.0.1]:{sshd.port} {sshd.host_key.with_suffix('.pub').read_text()}"
    dialer, mac, _ = jump(f"ProxyJump {sshd.mac.user}@localhost:{gate.port}", known_hosts=only_the_mac)

    with pytest.raises(HostKeyUnknown, match=rf"no host key is pinned for \[localhost\]:{gate.port}"):
        dialer.open(mac)

    assert sshd.connections() == 0


def test_a_jump_host_that_is_down_is_named(jump, sshd):
    _, _, gate = jump()
    dialer, mac, _ = jump(f"ProxyJump {sshd.mac.user}@localhost:{gate.port}")
    gate.stop()

    with pytest.raises(ConnectionRefused, match=f"localhost:{gate.port} refuses SSH connections"):
        dialer.open(mac)


def test_a_host_key_alias_names_the_pinned_key(jump, sshd):
    alias = f"my-studio {sshd.host_key.with_suffix('.pub').read_text()}"
    dialer, mac, _ = jump("HostKeyAlias my-studio", known_hosts=alias)

    dialer.open(mac).close()


# Who may not come in, and who is not there.


def test_a_wrong_key_is_refused_by_name(sshd, tmp_path):
    wrong = make_key(tmp_path / "wrong")

    error = open_fails(sshd, AuthenticationFailed, key=wrong)

    assert f"does not let {sshd.mac.user} in" in error.what
    assert f"tried the key {wrong}" in error.truths[0]
    assert f"ssh-copy-id -i {wrong} -p {sshd.port}" in error.hint


def test_a_key_that_does_not_exist_is_a_wrong_request(sshd, tmp_path):
    with pytest.raises(RequestError, match="does not exist"):
        open_connection(sshd.mac, replace(sshd.ssh, key=tmp_path / "nothing"))


def test_a_file_that_is_no_key_is_a_wrong_request(sshd, tmp_path):
    (tmp_path / "key").write_text("hello\n")

    with pytest.raises(RequestError, match="is not a private SSH key"):
        open_connection(sshd.mac, replace(sshd.ssh, key=tmp_path / "key"))


def test_a_key_with_a_passphrase_belongs_into_the_agent(sshd, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "words words", "-f", tmp_path / "key"], check=True)

    with pytest.raises(RequestError, match="protected by a passphrase"):
        open_connection(sshd.mac, replace(sshd.ssh, key=tmp_path / "key"))


def test_a_locked_filevault_is_told_from_a_refused_login(make_sshd, tmp_path):
    banner = (
        "This system is locked. To unlock it, use a local\r\naccount name and password. "
        "Once successfully\r\nunlocked, you will be able to connect normally.\r\n"
    )
    sshd = make_sshd(banner=banner)

    error = open_fails(sshd, FileVaultLocked, key=make_key(tmp_path / "wrong"))

    assert "FileVault waits for a password" in error.what


def test_a_mac_that_refuses_is_told_from_one_that_is_silent(sshd):
    sshd.stop()

    error = open_fails(sshd, ConnectionRefused)

    assert f"127.0.0.1:{sshd.port} refuses SSH connections" in error.what


def test_a_mac_that_accepts_and_never_answers_ends_at_the_connect_timeout(sshd):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mac = replace(sshd.mac, port=silent.getsockname()[1])

        error = open_fails(sshd, Unreachable, mac, connect_timeout_s=0.5)

    assert "takes the connection but says nothing; gave up after 0.5 s" in error.what


def test_something_else_on_the_port_is_said(sshd):
    with socket.create_server(("127.0.0.1", 0)) as web:

        def answer():
            client, _ = web.accept()
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.close()

        threading.Thread(target=answer, daemon=True).start()
        error = open_fails(sshd, Unreachable, replace(sshd.mac, port=web.getsockname()[1]))

    assert "ended the connection before the login" in error.what


def test_a_server_that_breaks_the_protocol_is_said(sshd):
    packet_without_content = struct.pack(">IB", 12, 11) + bytes(11)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"SSH-2.0-broken\r\n" + packet_without_content)
                peer.recv(4096)

        threading.Thread(target=greet, daemon=True).start()

        error = open_fails(sshd, Unreachable, mac=replace(sshd.mac, port=server.getsockname()[1]))

    assert "ended the connection before the login" in error.what


class WrongIdentity(Dialer):
    """A mistake of ours, as good as any."""

    def _identity(self, hop):
        return {**super()._identity(hop), "pkey": "not a key"}


class WrongTransport(Dialer):
    def _transport_factory(self, hop):
        return lambda sock, **options: sock.close().no_such_method()


@pytest.mark.parametrize("dialer", [WrongIdentity, WrongTransport])
def test_a_mistake_of_macfleet_is_not_called_a_refused_login(sshd, dialer):
    with pytest.raises(AttributeError):
        dialer(sshd.ssh).open(sshd.mac)


@pytest.mark.parametrize("name", ["a..b", "x" * 70 + ".local"])
def test_an_address_that_no_host_can_have_is_said(sshd, name):
    assert "cannot be reached" in open_fails(sshd, Unreachable, mac=replace(sshd.mac, address=name)).what


def test_a_name_that_does_not_resolve_is_said(sshd):
    error = open_fails(sshd, Unreachable, replace(sshd.mac, address="studio-1.invalid"))

    assert "studio-1.invalid is not a name" in error.what


def test_paramikos_own_log_does_not_reach_the_terminal(sshd, caplog, capfd, tmp_path):
    caplog.set_level(logging.DEBUG)

    open_fails(sshd, AuthenticationFailed, key=make_key(tmp_path / "wrong"))

    assert [record for record in caplog.records if record.name.startswith("paramiko")] == []
    assert capfd.readouterr() == ("", "")


# The line dies.


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


# Files.


def test_a_file_is_put_whole_with_its_mode(sshd, line, tmp_path):
    source = tmp_path / "weights"
    source.write_bytes(os.urandom(3_000_000))
    target = sshd.root / "weights of 'a' model"

    line.put(source, str(target), mode=0o600)

    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in sshd.root.iterdir()] == [target.name]


def test_bytes_are_put_and_got_back(sshd, line):
    data = bytes(range(256))

    line.put(data, f"{sshd.root}/file")

    assert line.get(f"{sshd.root}/file") == data


def test_an_empty_file_is_a_file(sshd, line):
    line.put(b"", f"{sshd.root}/empty")

    assert line.get(f"{sshd.root}/empty") == b""


def test_putting_where_nobody_may_write_leaves_the_old_file(sshd, line):
    with pytest.raises(CommandFailed, match="ended with"):
        line.put(b"new", f"{sshd.root}/no/such/directory/file")


def test_a_file_damaged_on_its_way_is_not_put(sshd, line):
    sshd.program("shasum", "echo 0000  -")
    (sshd.root / "file").write_text("old")

    with pytest.raises(CommandFailed, match="did not arrive as it was sent") as raised:
        line.put(b"new", f"{sshd.root}/file")

    assert hashlib.sha256(b"new").hexdigest() in raised.value.truths[0]
    assert (sshd.root / "file").read_text() == "old"
    assert [path.name for path in sshd.root.iterdir()] == ["file"]


def test_a_mac_that_dies_while_a_file_comes_in_keeps_the_old_one(sshd, line, tmp_path):
    target = sshd.root / "file"
    target.write_text("old")
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(4_000_000_000)
    arriving = sshd.root / "file.macfleet-new"
    killer = threading.Thread(target=lambda: (wait_until(arriving.exists, "the file comes in"), sshd.kill_sessions()), daemon=True)
    killer.start()

    with pytest.raises(ConnectionDropped, match=r"dropped while .* was sent"):
        line.put(big, str(target))

    killer.join()
    assert target.read_text() == "old"


def test_a_file_that_is_aborted_on_its_way_leaves_the_old_one_and_nothing_else(sshd, line, tmp_path):
    target = sshd.root / "file"
    target.write_text("old")
    arriving = sshd.root / "file.macfleet-new"
    stopper = threading.Thread(target=lambda: (wait_until(arriving.exists, "the file comes in"), line.abort()), daemon=True)
    stopper.start()

    with pytest.raises(ConnectionDropped, match=r"dropped while \S*/file was sent"):
        line.put(itertools.repeat(bytes(1 << 16)), str(target))

    stopper.join()
    assert target.read_text() == "old"
    wait_until(lambda: [path.name for path in sshd.root.iterdir()] == ["file"], "nothing else is left")


def test_a_source_that_ends_in_an_error_leaves_the_old_file_and_nothing_else(sshd, line):
    def broken():
        yield b"half"
        raise WeightsBroken("it became shorter while it was read")

    (sshd.root / "file").write_text("old")

    with pytest.raises(WeightsBroken):
        line.put(broken(), f"{sshd.root}/file")

    assert [(path.name, path.read_text()) for path in sshd.root.iterdir()] == [("file", "old")]


def test_a_file_that_is_not_there_cannot_be_got(sshd, line):
    with pytest.raises(CommandFailed, match="No such file"):
        line.get(f"{sshd.root}/nothing")


# Following and tunnels.


def test_a_log_is_followed_line_by_line_until_the_reader_has_enough(sshd, line):
    log = sshd.root / "log"
    log.write_text("one\n")
    lines = []

    def read(text):
        lines.append(text)
        if len(lines) == 1:
            with log.open("a") as file:
                file.write("two\n")
        if len(lines) == 2:
            raise StopIteration

    with pytest.raises(StopIteration):
        line.follow(command("tail", "-n", "+1", "-f", str(log)), read)

    assert lines == ["one", "two"]
    assert line.run([command("true")])[0].ok


def test_following_a_command_that_ends_gives_its_result(line):
    lines = []

    result = line.follow(command("sh", "-c", "echo one; echo two; printf three; echo no >&2; exit 5"), lines.append)

    assert lines == ["one", "two", "three"]
    assert (result.exit_status, result.stderr) == (5, "no\n")


class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode() * 10_000)

    def log_message(self, *args):
        pass


def test_a_tunnel_leads_to_a_port_of_the_mac(line):
    server = HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    with line.tunnel(server.server_port) as port:
        answers = [urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=20).read() for number in range(3)]

    server.shutdown()
    server.server_close()
    assert answers == [b"/%d" % number * 10_000 for number in range(3)]


def test_a_tunnel_to_a_closed_port_closes_the_connection(line):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = probe.getsockname()[1]

    with line.tunnel(closed) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        assert client.recv(1) == b""


def test_a_tunnels_port_is_free_again_at_its_end(line):
    with line.tunnel(1) as port:
        pass

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=20)
