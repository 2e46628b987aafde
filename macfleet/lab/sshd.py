"""Remote Login of a simulated Mac: asyncssh in front of real shells, and the small server that waits at a locked disk."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Callable
from typing import Any

import asyncssh
from asyncssh.forward import SSHForwarder

from macfleet.lab.environment import session_environment
from macfleet.lab.factory import home_of
from macfleet.lab.network import Door
from macfleet.lab.paths import MacDir
from macfleet.lab.processes import Child, Processes
from macfleet.lab.state import State
from macfleet.lab.stdin import Stdin

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
            process_factory=self._run,
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

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """One shell. Like OpenSSH, its end is reported when its output has ended, and a cut connection does not end it."""
        try:
            child, stdin, stdout, stderr = self._spawn(process)
        except OSError as error:
            process.stderr.write(f"{error}\n".encode())
            process.exit(255)
            return
        with contextlib.suppress(asyncssh.Error, OSError):
            if stdin is child.popen.stdin:
                stdin = await Stdin.of(stdin)  # a plain pipe may lose the end of what is sent
            await process.redirect(stdin=stdin, stdout=stdout, stderr=stderr)
            await process.stdout.drain()
            await process.stderr.drain()
        status = await asyncio.shield(child.ended)
        with contextlib.suppress(asyncssh.Error, OSError):
            if status < 0:
                process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
            else:
                process.exit(status)

    def _spawn(self, process: asyncssh.SSHServerProcess[bytes]) -> tuple[Child, Any, Any, Any]:
        """The shell with its three streams; on a terminal they are one."""
        environment = {**session_environment(self._state, self._dir), **_locale_of(process)}
        home = str(home_of(self._state, self._dir.root))
        shell = ("/bin/sh", "-c", process.command) if process.command else ("/bin/sh",)
        limit = FULL_DISK if self._state.has_fault("disk-full") else ()
        if process.term_type:
            environment["TERM"] = process.term_type
            return _on_terminal(
                lambda files: self._processes.spawn((*limit, *ON_TERMINAL, *shell), env=environment, cwd=home, **files), process
            )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        child = self._processes.spawn((*limit, *shell), env=environment, cwd=home, **pipes)
        return child, child.popen.stdin, child.popen.stdout, child.popen.stderr


class _Login(asyncssh.SSHServer):
    """The booted Mac: public keys only."""

    def __init__(self, sshd: Sshd):
        self._sshd = sshd
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._sshd._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._sshd._connections.discard(self._connection)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._sshd.accepts(username, key)

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

    def begin_auth(self, username: str) -> bool:
        if self._connection is not None:
            self._connection.send_auth_banner(LOCKED_BANNER)
        return True

    def public_key_auth_supported(self) -> bool:
        return False

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        is_right = self._sshd.password_is_right(username, password)
        if is_right and self._connection is not None:
            self._connection.send_auth_banner(UNLOCKED_BANNER)
            asyncio.get_running_loop().call_later(0.1, self._on_unlock)
        return is_right


def _on_terminal(spawn: Callable[[dict[str, int]], Child], process: asyncssh.SSHServerProcess[bytes]) -> tuple[Child, int, int, None]:
    """For a person at the other end: `ssh -t`. The window keeps the size it had at the start."""
    master, slave = os.openpty()
    columns, rows, *_ = process.term_size
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        child = spawn({"stdin": slave, "stdout": slave, "stderr": slave})
    finally:
        os.close(slave)
    return child, os.dup(master), master, None


def _locale_of(process: asyncssh.SSHServerProcess[bytes]) -> dict[str, str]:
    """macOS's sshd_config has `AcceptEnv LANG LC_*`."""
    sent = {os.fsdecode(key): os.fsdecode(value) for key, value in process.channel.get_environment_bytes().items()}
    return {key: value for key, value in sent.items() if key == "LANG" or key.startswith("LC_")}


def _transport(connection: asyncssh.SSHServerConnection) -> asyncio.Transport:
    transport: asyncio.Transport = connection._transport  # type: ignore[assignment]  # the only way to go silent
    return transport
