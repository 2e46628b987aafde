"""Getting in at a real OpenSSH server, and who is told what when that fails: host keys, the operator's configuration, refusals."""

import logging
import socket
import struct
import subprocess
import threading
from dataclasses import replace

import fabric
import pytest

from macfleet.core.command import command
from macfleet.core.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    FileVaultLocked,
    HostKeyMismatch,
    HostKeyUnknown,
    RequestError,
    Unreachable,
)
from macfleet.fleet.ssh import Dialer, open_connection, scan_host_key
from tests.fleet.sshd import make_key


def open_fails(sshd, error, mac=None, **ssh) -> Unreachable:
    with pytest.raises(error) as raised:
        open_connection(mac or sshd.mac, replace(sshd.ssh, **ssh))
    return raised.value


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
