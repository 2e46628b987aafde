"""SSH lines to Macs. The only file that knows fabric and paramiko.

fabric reads the operator's own configuration (~/.ssh/config: HostName, User, IdentityFile, ProxyJump, ProxyCommand). Its
`run` is not used: Invoke polls every 10 ms, and a channel for every command costs a round trip. What is said over the
line is in `remote.py`.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fabric
import paramiko
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.common import cMSG_CHANNEL_REQUEST, cMSG_USERAUTH_REQUEST

from macfleet.core.errors import HostKeyMismatch, HostKeyUnknown, RequestError
from macfleet.core.secret import Secret
from macfleet.fleet.refusal import Refusal, Stage, explain
from macfleet.fleet.remote import OnResult, RemoteConnection
from macfleet.inventory.mac import Mac, SshSettings

OPEN_CHANNEL_S = 20.0
RESTING_S = 5.0
# paramiko puts aes128-ctr first; GCM copies 1.3 to 1.5 times as fast.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
SYSTEM_KNOWN_HOSTS = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))


def open_connection(mac: Mac, ssh: SshSettings, *, on_result: OnResult | None = None) -> RemoteConnection:
    """A connection to one Mac. For many Macs a `Dialer` reads keys and configuration once."""
    return Dialer(ssh).open(mac, on_result=on_result)


def scan_host_key(mac: Mac, ssh: SshSettings | None = None) -> tuple[str, str, str]:
    """(type, base64, SHA-256 fingerprint) of the host key that the Mac shows now. Nothing vouches for it."""
    return Dialer(ssh or SshSettings()).scan(mac)


class Dialer:
    """What all connections of a run share: the operator's SSH configuration, the key, the pinned host keys.

    With a `password` that is what the Macs are shown, and no key: the first login, before there is one.
    """

    def __init__(self, ssh: SshSettings, *, config: fabric.Config | None = None, password: Secret | None = None):
        # What paramiko has to say arrives as exceptions; its log would land on the operator's terminal.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
        self._ssh = ssh
        self._password = password
        # A server may want the password in a dialogue, which is a second attempt: this transport asks for the service once, as RFC 4252
        # has it. asyncssh hangs up on a second request ("Unexpected service in service request").
        self._transport: type[paramiko.Transport] = paramiko.Transport
        if password is not None:
            self._transport = _OneService
        self._ssh_config: paramiko.SSHConfig = (config or fabric.Config()).base_ssh_config
        self._key = _load_key(ssh.key) if ssh.key else None
        self._pinned = _load_known_hosts(ssh.known_hosts)

    def open(self, mac: Mac, *, on_result: OnResult | None = None) -> RemoteConnection:
        """Raises one of the `Unreachable` family. TCP, SSH's handshake and the login may each take the connect timeout."""
        line = self._dial(mac)
        return RemoteConnection(mac, SshLine(line), on_result=on_result)

    def scan(self, mac: Mac) -> tuple[str, str, str]:
        try:
            self._dial(mac, only_look=True)
        except _Seen as seen:
            return seen.key.get_name(), seen.key.get_base64(), str(seen.key.fingerprint)
        raise AssertionError("the policy ends every connection at its host key")

    def _dial(self, mac: Mac, *, only_look: bool = False) -> fabric.Connection:
        # A config of its own: every Connection writes into its config, and another thread's would be half-merged meanwhile
        # ("No attribute or config key found for 'gateway'", seen with 16 Macs).
        config = fabric.Config(ssh_config=self._ssh_config, lazy=True)
        # Port 22 is the inventory's default; said by nobody, ~/.ssh/config may say another.
        line = fabric.Connection(mac.address, mac.user or None, mac.port if mac.port != 22 else None, config=config)
        for hop in _hops(line):
            self._prepare(mac, hop, self._identity(hop) if self._password is None or hop is not line else _by_password(self._password))
        if only_look:
            line.client.set_missing_host_key_policy(_SeenKey())
        start = time.monotonic()
        try:
            line.open()
        except BaseException as error:
            refusal = self._refusal(mac, line, error, time.monotonic() - start)
            _close(line)
            if not _is_of_the_far_end(error):
                raise
            raise explain(refusal) from error
        return line

    def _refusal(self, mac: Mac, line: fabric.Connection, error: BaseException, took_s: float) -> Refusal:
        hop = next((hop for hop in reversed(_hops(line)) if not _is_logged_in(hop)), line)
        transport = hop.client.get_transport()
        banner = transport.get_banner() if transport else None
        return Refusal(
            mac=mac.name,
            place=f"{hop.host}:{hop.port}",
            user=hop.user,
            stage=_stage(transport),
            error=error,
            took_s=took_s,
            timeout_s=self._ssh.connect_timeout_s,
            banner=banner.decode(errors="replace") if banner else "",
            key=str(self._ssh.key) if self._ssh.key else None,
            by_password=self._password is not None and hop is line,
            is_line_up=bool(transport and transport.is_active()),
        )

    def _prepare(self, mac: Mac, hop: fabric.Connection, identity: Mapping[str, Any]) -> None:
        """The same strictness for the Mac and for every jump host before it: fabric would add unknown keys silently."""
        hop.client.set_missing_host_key_policy(_PinnedKeys(mac, self._pinned, self._ssh.known_hosts, _known_names(hop)))
        hop.connect_timeout = self._ssh.connect_timeout_s
        hop.connect_kwargs = {
            "transport_factory": self._transport_factory(hop),
            "banner_timeout": self._ssh.connect_timeout_s,
            "auth_timeout": self._ssh.connect_timeout_s,
            **identity,
        }

    def _identity(self, hop: fabric.Connection) -> dict[str, Any]:
        if self._key is not None:
            return {"pkey": self._key, "allow_agent": False, "look_for_keys": False}
        named = hop.ssh_config.get("identityfile", [])
        # OpenSSH skips an IdentityFile that is not there; paramiko would raise.
        return {"key_filename": [name for name in named if Path(name).expanduser().is_file()]}

    def _transport_factory(self, hop: fabric.Connection) -> Callable[..., paramiko.Transport]:
        pinned = _lookup(self._pinned, _known_names(hop))

        def make(sock: Any, **options: Any) -> paramiko.Transport:
            transport = self._transport(_swift(sock), **options)
            security = transport.get_security_options()
            security.ciphers = CIPHERS
            # Ask first for a key of a type that is pinned: a Mac has three.
            security.key_types = sorted(security.key_types, key=lambda kind: _key_type(kind) not in pinned)
            return transport

        return make


def public_key(path: Path) -> tuple[str, str]:
    """(type, base64) of the public half of a private key's file."""
    key = _load_key(path)
    return key.get_name(), key.get_base64()


def agent_keys() -> list[tuple[str, str, str]]:
    """(type, base64, comment) of every key that the operator's SSH agent holds; none without an agent."""
    agent = paramiko.Agent()
    try:
        return [(key.get_name(), key.get_base64(), key.comment) for key in agent.get_keys()]
    finally:
        agent.close()


class SshLine:
    """The `Line` of an open fabric connection: paramiko's failures become OSErrors."""

    def __init__(self, line: fabric.Connection):
        self._line = line
        self._transport: paramiko.Transport = line.transport
        for hop in _hops(line):
            _rest(hop.transport)

    def execute(self, command: str) -> paramiko.Channel:
        try:
            channel = self._transport.open_session(timeout=OPEN_CHANNEL_S)
            channel.settimeout(OPEN_CHANNEL_S)
            _request(channel, command)
        except paramiko.SSHException as error:
            raise OSError(str(error)) from error
        return channel

    def open_direct(self, host: str, port: int) -> paramiko.Channel:
        try:
            return self._transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=OPEN_CHANNEL_S)
        except paramiko.SSHException as error:
            raise ConnectionRefusedError(str(error)) from error

    def ask(self) -> None:
        # Every server answers it, if only with a refusal. paramiko's own keepalive wants no answer and so notices nothing.
        self._transport.global_request("keepalive@openssh.com", wait=True)
        if not self._transport.is_active():
            raise EOFError("the connection is closed")

    @property
    def is_open(self) -> bool:
        return bool(self._transport.is_active())

    def close(self) -> None:
        _close(self._line)


def _request(channel: paramiko.Channel, command: str) -> None:
    """`Channel.exec_command`, but for its wait: a round trip before the script may follow. A server that refuses closes the channel."""
    inner: Any = channel  # what follows is what that method does, with parts of paramiko that have no types
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("exec")
    message.add_boolean(True)
    message.add_string(command)
    inner._event_pending()
    inner.transport._send_user_message(message)


def _rest(transport: paramiko.Transport) -> None:
    """paramiko's thread looks ten times a second whether somebody has closed the line. Ours are closed so that it wakes: `_close`."""
    if isinstance(transport.sock, socket.socket):
        transport.sock.settimeout(RESTING_S)


class _AnswerFirst(AuthOnlyHandler):
    """paramiko's own, but for the order: it makes the event that its reader sets only when the request has left.

    An answer that is quicker was then waited for in vain, and the right password ended in a timeout (paramiko 5.1).
    """

    def send_auth_request(self, username: str, method: str, finish_message: Any = None) -> Any:
        self.auth_method, self.username = method, username
        message = paramiko.Message()
        message.add_byte(cMSG_USERAUTH_REQUEST)
        for word in (username, "ssh-connection", method):
            message.add_string(word)
        finish_message(message)
        inner: Any = self
        answered = inner.auth_event = threading.Event()
        with inner.transport.lock:
            inner.transport._send_message(message)
        return inner.wait_for_response(answered)


class _OneService(paramiko.ServiceRequestingTransport):  # type: ignore[name-defined,misc]  # the stubs do not know it
    def get_auth_handler(self) -> AuthOnlyHandler:
        return _AnswerFirst(self)


class _PinnedKeys(paramiko.MissingHostKeyPolicy):
    """Strict checking in one place: the client itself holds no keys, so every connection asks here.

    `names` are what known_hosts may call this server: the Mac, or a jump host before it.
    """

    def __init__(self, mac: Mac, pinned: paramiko.HostKeys, file: Path | None, names: tuple[str, ...]):
        self._mac, self._pinned, self._name = mac, _lookup(pinned, names), names[0]
        self._file = str(file or SYSTEM_KNOWN_HOSTS[0])

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if not self._pinned:
            raise self._unknown(key)
        known = self._pinned.get(key.get_name())
        if known is None or known.asbytes() != key.asbytes():
            raise self._mismatch(key, known or next(iter(self._pinned.values())))

    def _unknown(self, key: paramiko.PKey) -> HostKeyUnknown:
        file = f"/etc/ssh/ssh_host_{_short_type(key)}_key.pub"
        return HostKeyUnknown(
            f"no host key is pinned for {self._name}",
            mac=self._mac.name,
            truths=(f"it shows {key.get_name()} {key.fingerprint}", "nothing was sent to it"),
            hint=f"compare that with `ssh-keygen -lf {file}` on the Mac, then {self._pin(key)}",
        )

    def _mismatch(self, key: paramiko.PKey, known: paramiko.PKey) -> HostKeyMismatch:
        return HostKeyMismatch(
            f"the host key of {self._name} is not the pinned one: another machine answers there, or macOS was installed anew",
            mac=self._mac.name,
            truths=(
                f"it shows {key.get_name()} {key.fingerprint}",
                f"pinned is {known.get_name()} {known.fingerprint}",
                "nothing was sent to it",
            ),
            hint=f"only if you know why it changed: `ssh-keygen -R '{self._name}' -f {self._file}`, then {self._pin(key)}",
        )

    def _pin(self, key: paramiko.PKey) -> str:
        host, _, port = self._name.removeprefix("[").partition("]:")
        scan = f"ssh-keyscan -t {_short_type(key)} " + (f"-p {port} {host}" if port else host)
        return f"pin it: `macfleet inventory pin --mac {self._mac.name}`, or `{scan} >> {self._file}`"


class _Seen(Exception):
    def __init__(self, key: paramiko.PKey):
        super().__init__("the host key was seen")
        self.key = key


class _SeenKey(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise _Seen(key)


class _SwiftSocket(socket.socket):
    """Acknowledges at once what it receives.

    sshd's Nagle waits for our delayed acknowledgement: 44 ms on the first channel of a connection. Linux forgets
    TCP_QUICKACK after a while, so it is set again and again. macOS has no such option.
    """

    def recv(self, *args: Any) -> bytes:
        data = super().recv(*args)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def _swift(sock: Any) -> Any:
    """Without TCP_NODELAY every channel waits 42 ms; paramiko sets no socket options. Jump hosts and proxies have no socket."""
    if not isinstance(sock, socket.socket):
        return sock
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not hasattr(socket, "TCP_QUICKACK"):
        return sock
    timeout = sock.gettimeout()
    swift = _SwiftSocket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    swift.settimeout(timeout)
    return swift


def _by_password(password: Secret) -> dict[str, Any]:
    # paramiko answers a server that asks for it in a dialogue (keyboard-interactive) with the same password.
    return {"password": password.reveal(), "allow_agent": False, "look_for_keys": False}


def _is_of_the_far_end(error: BaseException) -> bool:
    """Whether network, server or login failed. Anything else is an error of macfleet, and must not read like a wrong key.

    What a server sends may break paramiko's reader with any exception: it is caught in the transport's thread and raised again here.
    UnicodeError is how Python says that no host can have this name.
    """
    if isinstance(error, (OSError, EOFError, paramiko.SSHException, UnicodeError)):
        return True
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return isinstance(error, Exception) and any(frame.f_code is paramiko.Transport.run.__code__ for frame in frames)


def _hops(line: fabric.Connection) -> list[fabric.Connection]:
    """The connection, then the jump host before it, and the one before that."""
    hops = [line]
    while isinstance(hops[-1].gateway, fabric.Connection):
        hops.append(hops[-1].gateway)
    return hops


def _stage(transport: paramiko.Transport | None) -> Stage:
    if transport is None:
        return Stage.TCP
    return Stage.LOGIN if transport.initial_kex_done else Stage.HANDSHAKE


def _close(line: fabric.Connection) -> None:
    for hop in _hops(line):
        transport = hop.client.get_transport()
        if transport is not None and isinstance(transport.sock, socket.socket):
            # paramiko's thread looks every 100 ms whether it was closed; it sees the end of its socket at once.
            with contextlib.suppress(OSError):
                transport.sock.shutdown(socket.SHUT_RDWR)
        hop.client.close()  # fabric's own close forgets a connection that failed half-way


def _is_logged_in(hop: fabric.Connection) -> bool:
    transport = hop.client.get_transport()
    return transport is not None and transport.is_authenticated()


def _load_key(path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except FileNotFoundError as error:
        raise RequestError(f"the SSH key {path} does not exist", hint="check `ssh: key:` in the inventory") from error
    except (TypeError, paramiko.PasswordRequiredException) as error:  # TypeError is how `cryptography` says it
        raise RequestError(
            f"the SSH key {path} is protected by a passphrase",
            hint=f"load it into your agent (`ssh-add {path}`) and leave out `ssh: key:` in the inventory",
        ) from error
    except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise RequestError(f"{path} is not a private SSH key: {error}", hint="check `ssh: key:` in the inventory") from error


def _load_known_hosts(path: Path | None) -> paramiko.HostKeys:
    keys = paramiko.HostKeys()
    for file in (path,) if path else SYSTEM_KNOWN_HOSTS:
        try:
            keys.load(str(file.expanduser()))
        except FileNotFoundError:
            continue  # nobody is pinned there
        except (OSError, ValueError, paramiko.hostkeys.InvalidHostKey) as error:
            raise RequestError(f"the known hosts in {file} cannot be read: {error}", hint="check `ssh: known_hosts:`") from error
    return keys


def _known_names(hop: fabric.Connection) -> tuple[str, ...]:
    """How known_hosts may call this server: as OpenSSH does, or as the inventory does where ~/.ssh/config knows it by another name."""
    alias = hop.ssh_config.get("hostkeyalias")
    if alias:
        return (str(alias),)
    hosts = (str(hop.host), str(hop.original_host))
    names = [host if hop.port == 22 else f"[{host}]:{hop.port}" for host in hosts]
    return (*dict.fromkeys((*names, hosts[1])),)


def _lookup(pinned: paramiko.HostKeys, names: tuple[str, ...]) -> Mapping[str, paramiko.PKey]:
    """Type → key, of the first name that is pinned at all."""
    found = (pinned.lookup(name) for name in names)
    return next((dict(keys) for keys in found if keys), {})


def _key_type(algorithm: str) -> str:
    """An RSA key signs by rsa-sha2-512 but is called ssh-rsa in known_hosts."""
    return "ssh-rsa" if algorithm.startswith("rsa-") else algorithm


def _short_type(key: paramiko.PKey) -> str:
    return {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}.get(key.get_name(), "ecdsa")
