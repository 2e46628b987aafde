"""A real OpenSSH server on loopback: own host key, own user key, own port from the kernel, own PATH."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from macfleet.inventory.mac import Inventory, Mac, SshSettings
from tests.processes import table

SERVER = "/usr/sbin/sshd"
DEADLINE_S = 20.0


def make_key(path: Path, kind: str = "ed25519") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True, timeout=DEADLINE_S)
    return path


def wait_until(condition, what: str, deadline_s: float = DEADLINE_S) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s} s until {what}")
        time.sleep(0.02)


def press_ctrl_c_when(condition) -> None:
    """A real signal: only that wakes a main thread that waits for a lock."""

    def press() -> None:
        wait_until(condition, "it is time for Ctrl-C")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


@dataclass
class Sshd:
    """One server. Its "Mac" has `directory/root` as root and `directory/bin` first on PATH."""

    directory: Path
    name: str = "studio-1"
    user_key: Path | None = None
    banner: str = ""
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    _process: subprocess.Popen | None = None

    def start(self) -> Sshd:
        if not Path(SERVER).exists():
            raise RuntimeError(f"these tests talk to a real OpenSSH server and {SERVER} is missing: install openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # a root sshd wants it, and only a packaged service makes it
        for name in ("root", "bin"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        if not self.host_key.exists():
            make_key(self.host_key)
        if self.user_key is None:
            self.user_key = make_key(self.directory / "id_ed25519")
        self._listen()
        self.pin()
        return self

    @property
    def host_key(self) -> Path:
        return self.directory / "host_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def ssh(self) -> SshSettings:
        return SshSettings(key=self.user_key, known_hosts=self.known_hosts, connect_timeout_s=10.0)

    @property
    def mac(self) -> Mac:
        return Mac(
            name=self.name,
            address="127.0.0.1",
            hardware="Mac15,14",
            memory_bytes=512 * 1024**3,
            port=self.port,
            user=getpass.getuser(),
            root=str(self.root),
        )

    @property
    def pid(self) -> int:
        """Of the process that listens."""
        return self._process.pid

    def pin(self, public_key: Path | None = None) -> None:
        kind, key, *_ = (public_key or self.host_key.with_suffix(".pub")).read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def program(self, name: str, script: str) -> None:
        """A program of the Mac, as a shell script; one that is called by its path is put there."""
        path = self.directory / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def connections(self) -> int:
        return self.log().count("Connection from ")

    def channels(self) -> int:
        return self.log().count("server_input_channel_open: ctype session")

    def log(self) -> str:
        return (self.directory / "sshd.log").read_text(errors="replace")

    def kill_sessions(self) -> None:
        """The Mac dies as far as anybody on the line can tell: every process of the server that holds a connection."""
        for pid in self._descendants():
            with contextlib.suppress(ProcessLookupError):  # it ended by itself since
                os.kill(pid, signal.SIGKILL)

    def freeze_sessions(self) -> list[int]:
        """TCP still acknowledges, nobody answers: a Mac that hangs. `thaw` the result, or it can never be stopped."""
        frozen = self._descendants()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        return frozen

    def thaw(self, frozen: list[int]) -> None:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process is None:
            return
        self.kill_sessions()
        self._process.kill()
        self._process.wait(DEADLINE_S)
        self._process = None

    def _listen(self) -> None:
        for _ in range(5):  # between asking the kernel for a port and sshd taking it, somebody else may
            if not self.port:
                with socket.create_server(("127.0.0.1", 0)) as probe:
                    self.port = probe.getsockname()[1]
            self._process = subprocess.Popen([SERVER, "-D", "-f", self._write_config(), "-E", str(self.directory / "sshd.log")])
            if self._answers():
                return
            self.port = 0
        raise RuntimeError(f"sshd did not start:\n{self.log()}")

    def _answers(self) -> bool:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    if probe.recv(4) == b"SSH-":
                        (self.directory / "sshd.log").write_text("")
                        return True
            except OSError:
                time.sleep(0.02)
        return False

    def _write_config(self) -> str:
        (self.directory / "authorized_keys").write_text(self.user_key.with_suffix(".pub").read_text())
        environment = {"HOME": str(self.directory), "PATH": f"{self.directory}/bin:/usr/local/bin:/usr/bin:/bin", **self.environment}
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.directory}/authorized_keys",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "MaxStartups 200",
            "LogLevel DEBUG1",
            "SetEnv " + " ".join(f'{name}="{value}"' for name, value in environment.items()),
            *self.options,
        ]
        if self.banner:
            (self.directory / "banner").write_text(self.banner)
            lines.append(f"Banner {self.directory}/banner")
        config = self.directory / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        return str(config)

    def _descendants(self) -> list[int]:
        """The sessions, not the listener; and what they have started is left running, as on a dying network."""
        rows, found, parents = table(), [], {self._process.pid}
        while parents:
            children = {pid for pid, parent, _, program in rows if parent in parents and "sshd" in program}
            found += children
            parents = children
        return found


def inventory_of(*servers: Sshd) -> Inventory:
    """A fleet of these servers: one key for all, every host key pinned in the first one's known_hosts."""
    first = servers[0]
    first.known_hosts.write_text("".join(dict.fromkeys(server.known_hosts.read_text() for server in servers)))
    return Inventory(path=first.directory / "inventory.yaml", name="test", macs=tuple(server.mac for server in servers), ssh=first.ssh)
