"""The floor: the same commands over the same servers by nothing but paramiko, a thread for each Mac.

TCP_NODELAY, strict host keys, each phase one plain script over one channel: no deadlines, no separate stderr, no exit statuses
kept, no understanding of what comes back.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Sequence

import paramiko

from benchmarks.loopback.ground import quoted
from macfleet.core.command import Command
from macfleet.core.secret import Secret
from tests.fleet.sshd import Sshd

TCP_NODELAY = 1


def plain_script(commands: Sequence[Command], search_path: Sequence[str]) -> str:
    """An exec request that runs these commands one after another."""
    script = "\n".join(f"{plain(command)}; echo '== '$?" for command in commands)
    return "exec /bin/sh -c " + quoted(f'PATH="$PATH:{":".join(search_path)}"; export PATH; {script}')


def plain(command: Command) -> str:
    if command.stdin is None:
        return f"{command.shell()} </dev/null 2>&1"
    data = command.stdin.reveal().encode() if isinstance(command.stdin, Secret) else command.stdin
    return f"printf %s {base64.b64encode(data).decode()} | base64 -d | {command.shell()} 2>&1"


Phases = Callable[[Sshd], Sequence[Sequence[Command]]]


def floor(servers: Sequence[Sshd], phases: Phases, search_path: Sequence[str], key: paramiko.PKey) -> None:
    """Each phase as one script, on all Macs side by side. Raises when a Mac has not answered everything."""

    def work(server: Sshd, client: paramiko.SSHClient) -> None:
        for commands in phases(server):
            _, stdout, _ = client.exec_command(plain_script(commands, search_path))
            answered = stdout.read().count(b"== ")
            assert answered >= len(commands), f"the floor got {answered} of {len(commands)} answers"

    side_by_side(servers, key, work)


def send_file(servers: Sequence[Sshd], data: bytes, name: str, key: paramiko.PKey) -> None:
    """The bytes into a file of every Mac, from one copy in memory."""

    def work(server: Sshd, client: paramiko.SSHClient) -> None:
        stdin, stdout, _ = client.exec_command(f"cat >{server.root}/{name}")
        stdin.write(data)
        stdin.channel.shutdown_write()
        assert stdout.channel.recv_exit_status() == 0

    side_by_side(servers, key, work)


def side_by_side(servers: Sequence[Sshd], key: paramiko.PKey, work: Callable[[Sshd, paramiko.SSHClient], None]) -> None:
    failures: list[BaseException] = []

    def one(server: Sshd) -> None:
        try:
            client = connect(server, key)
            work(server, client)
            client.get_transport().sock.shutdown(2)  # or its thread ends up to 100 ms later
            client.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def connect(server: Sshd, key: paramiko.PKey) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.load_host_keys(str(server.directory / "own_known_hosts"))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())

    def transport(sock: object, **options: object) -> paramiko.Transport:
        sock.setsockopt(6, TCP_NODELAY, 1)
        return paramiko.Transport(sock, **options)

    mac = server.mac
    client.connect(mac.address, mac.port, mac.user, pkey=key, allow_agent=False, look_for_keys=False, transport_factory=transport)
    return client
