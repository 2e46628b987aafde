"""Remote Login of a simulated Mac: asyncssh in front of real shells, and the small server that waits at a locked disk."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Callable

import asyncssh
from asyncssh.forward import SSHForwarder

from macfleet.lab.environment import session_environment
from macfleet.lab.factory import home_of
from macfleet.lab.network import Door
from macfleet.lab.paths import MacDir
from macfleet.lab.processes import Child, Processes
from macfleet.lab.session import ShellSession, Streams
from macfleet.lab.state import State

# Word for word, see tests/fixtures/ops/filevault_preboot_ssh.transcript.txt. Both speak of "successfully" and "unlocked".
LOCKED_BANNER = (
    "This system is locked. To unlock it, use a local\r\n"
    "account name and password. Once successfully\r\n"
    "unlocked, you will be able to connect normally.\r\n"
)
UNLOCKED_BANNER = "System successfully unlocked.\r\nYou may now use SSH to authenticate normally.\r\n"

# With a disk that is full, files of this size can still be written: RLIMIT_FSIZE, in the 512-byte blocks of `ulimit -f`.
# The errors differ from the true ones ("File too large"), but big writes fail, and small ones do not, as on a full disk.
FULL_DISK = ("/bin/sh", "-c", 'trap "" XFSZ; ulimit -f 2048; exec "$@"', "sh")


# The leader of a new session makes the first terminal it opens its own.
ON_TERMINAL = ("/bin/sh", "-c", 'exec <"$(tty)"; exec "$@"', "sh")


class Sshd:
    """The server on a Mac's one port: open, locked, frozen or closed. The host key is the same in all of them."""

    def __init__(self, directory: MacDir, state: State, processes: Processes):
        self._dir = directory
        self._state = state
        self._processes = processes
        self._door = Door(state.ssh_port)
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self.port = self._door.port

    async def open(self) -> None:
        await self._door.open(lambda sock: self._listen(sock, lambda: _Login(self)))

    async def lock(self, on_unlock: Callable[[], None]) -> None:
        await self._door.open(lambda sock: self._listen(sock, lambda: _LockedLogin(self, on_unlock)))

    def freeze(self) -> None:
        """As a Mac asleep: what is open goes silent, what comes new is never answered."""
        self._door.freeze()
        for connection in self._connections:
            _transport(connection).pause_reading()

    def thaw(self) -> None:
        for connection in self._connections:
            _transport(connection).resume_reading()

    def close(self) -> None:
        """Every connection is cut, without a goodbye: as when the Mac is gone."""
        self._door.close()
        for connection in list(self._connections):
            _transport(connection).abort()
        self._connections.clear()

    async def _listen(self, sock: socket.socket, login: Callable[[], asyncssh.SSHServer]) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            sock=sock,
            server_factory=login,
            server_host_keys=[str(self._dir.host_key)],
            encoding=None,
            line_editor=False,
            allow_scp=False,
            compression_algs=None,
            keepalive_interval=0,
            login_timeout=60,
            server_version="OpenSSH_10.2",
            tcp_keepalive=True,
        )

    def accepts(self, user: str, key: asyncssh.SSHKey) -> bool:
        """Whether the user's authorized_keys, a real file of this Mac, lists the key."""
        if user != self._state.user:
            return False
        listed = home_of(self._state, self._dir.root) / ".ssh/authorized_keys"
        try:
            lines = listed.read_text().splitlines()
        except OSError:
            return False
        wanted = key.export_public_key().split()[:2]
        return any(line.split()[:2] == [word.decode() for word in wanted] for line in lines)

    def password_is_right(self, user: str, password: str) -> bool:
        return (user, password) == (self._state.user, self._state.password)

    def session(self) -> ShellSession:
        return ShellSession(self._spawn, self._processes.signal_group)

    def _spawn(self, session: ShellSession) -> tuple[Child, Streams]:
        environment = {**session_environment(self._state, self._dir), **_locale_of(session)}
        shell = ("/bin/sh", "-c", session.command) if session.command else ("/bin/sh",)
        limit = FULL_DISK if self._state.has_fault("disk-full") else ()

        def start(argv: tuple[str, ...], stdin: int, stdout: int, stderr: int) -> Child:
            home = str(home_of(self._state, self._dir.root))
            return self._processes.spawn(argv, env=environment, cwd=home, stdin=stdin, stdout=stdout, stderr=stderr)

        if session.terminal:
            environment["TERM"] = session.terminal[0]
            return _on_terminal(lambda slave: start((*limit, *ON_TERMINAL, *shell), slave, slave, slave), session.terminal)
        return _on_pipes(lambda *ends: start((*limit, *shell), *ends))


class _Login(asyncssh.SSHServer):
    """The booted Mac: public keys and, as macOS's sshd_config comes, passwords."""

    def __init__(self, sshd: Sshd):
        self._sshd = sshd
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._sshd._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._sshd._connections.discard(self._connection)

    def session_requested(self) -> ShellSession:
        return self._sshd.session()

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._sshd.accepts(username, key)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return self._sshd.password_is_right(username, password)

    async def connection_requested(  # type: ignore[override]  # asyncssh awaits it
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> SSHForwarder:
        """Forwarded from here: on a rehearsal fleet every Mac is this machine."""
        try:
            _, outward = await asyncio.get_running_loop().create_connection(SSHForwarder, dest_host, dest_port)
        except OSError as error:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(error)) from None
        return _Forwarder(outward)


class _Forwarder(SSHForwarder):
    """Ends when both sides have. asyncssh's own keeps the channel open if the client is the last one to say so,
    and a client that waits for the channel's end (`ssh -W`) waits for ever."""

    def eof_received(self) -> bool:
        goes_on = super().eof_received()
        if not goes_on:
            self.close()
        return goes_on


class _LockedLogin(_Login):
    """Before the boot: all configuration, keys included, lies on the locked disk. A password unlocks it."""

    def __init__(self, sshd: Sshd, on_unlock: Callable[[], None]):
        super().__init__(sshd)
        self._on_unlock = on_unlock

    def session_requested(self) -> bool:  # type: ignore[override]  # there is nothing to run a shell with yet
        return False

    def begin_auth(self, username: str) -> bool:
        if self._connection is not None:
            self._connection.send_auth_banner(LOCKED_BANNER)
        return True

    def public_key_auth_supported(self) -> bool:
        return False

    def validate_password(self, username: str, password: str) -> bool:
        is_right = self._sshd.password_is_right(username, password)
        if is_right and self._connection is not None:
            self._connection.send_auth_banner(UNLOCKED_BANNER)
            asyncio.get_running_loop().call_later(0.1, self._on_unlock)
        return is_right


def _on_pipes(spawn: Callable[[int, int, int], Child]) -> tuple[Child, Streams]:
    (their_in, our_in), (our_out, their_out), (our_err, their_err) = os.pipe(), os.pipe(), os.pipe()
    try:
        return spawn(their_in, their_out, their_err), Streams(our_in, our_out, our_err)
    except OSError:
        for descriptor in (our_in, our_out, our_err):
            os.close(descriptor)
        raise
    finally:
        for descriptor in (their_in, their_out, their_err):
            os.close(descriptor)


def _on_terminal(spawn: Callable[[int], Child], terminal: tuple[str, int, int]) -> tuple[Child, Streams]:
    """For a person at the other end: `ssh -t`. The window keeps the size it had at the start."""
    _, columns, rows = terminal
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        return spawn(slave), Streams(os.dup(master), master, None)
    finally:
        os.close(slave)


def _locale_of(session: ShellSession) -> dict[str, str]:
    """macOS's sshd_config has `AcceptEnv LANG LC_*`."""
    sent = {os.fsdecode(key): os.fsdecode(value) for key, value in session.channel.get_environment_bytes().items()}
    return {key: value for key, value in sent.items() if key == "LANG" or key.startswith("LC_")}


def _transport(connection: asyncssh.SSHServerConnection) -> asyncio.Transport:
    transport: asyncio.Transport = connection._transport  # type: ignore[assignment]  # the only way to go silent
    return transport
