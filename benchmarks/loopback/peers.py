"""Ansible and pyinfra, with the settings that suit them best, asking the same servers the same questions."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from macfleet.core.command import Command
from macfleet.core.secret import Secret
from tests.fleet.sshd import Sshd

PACKAGES = ("ansible-core", "pyinfra")
NAMES = ("ansible", "pyinfra")
DEADLINE_S = 900.0


@dataclass(frozen=True)
class Cost:
    """Seconds of one run; CPU is the controller's alone."""

    wall_s: float
    cpu_s: float


def install_peers(directory: Path) -> Path:
    """An environment of their own, made unless it is there; its `bin`."""
    bin_dir = directory / "bin"
    if not all((bin_dir / name).exists() for name in ("ansible-playbook", "pyinfra")):
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        subprocess.run([bin_dir / "python", "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return bin_dir


def versions(bin_dir: Path) -> str:
    script = "import sys; from importlib.metadata import version; print(', '.join(f'{name} {version(name)}' for name in sys.argv[1:]))"
    return subprocess.run([bin_dir / "python", "-c", script, *PACKAGES], check=True, capture_output=True, text=True).stdout.strip()


def ask_by(name: str, bin_dir: Path, servers: Sequence[Sshd], commands: Sequence[Command], search_path: Sequence[str]) -> Cost:
    with tempfile.TemporaryDirectory(prefix="peer-") as directory:
        prepare = {"ansible": _prepare_ansible, "pyinfra": _prepare_pyinfra}[name]
        words, environment = prepare(Path(directory), bin_dir, servers, commands, search_path)
        return _measure(words, Path(directory), environment)


def _prepare_ansible(
    directory: Path, bin_dir: Path, servers: Sequence[Sshd], commands: Sequence[Command], search_path: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Pipelining, ControlPersist, a fork for every Mac, no facts gathered, the interpreter told, the quickest key exchange."""
    ssh = (
        f"-o ControlMaster=auto -o ControlPersist=20s -o StrictHostKeyChecking=yes -o UserKnownHostsFile={servers[0].known_hosts} "
        "-o KexAlgorithms=curve25519-sha256"
    )
    (directory / "ansible.cfg").write_text(
        f"[defaults]\nforks={len(servers)}\ngathering=explicit\nretry_files_enabled=False\nstdout_callback=minimal\nlocal_tmp={directory}/tmp\n"
        f"[ssh_connection]\npipelining=True\nssh_args={ssh}\ncontrol_path_dir={directory}/cp\n"
    )
    lines = [
        f"{server.name} ansible_host=127.0.0.1 ansible_port={server.port} ansible_user={server.mac.user} "
        f"ansible_ssh_private_key_file={server.user_key} ansible_python_interpreter={bin_dir}/python "
        f"own_path={server.directory}/bin:/usr/local/bin:/usr/bin:/bin:{':'.join(search_path)}"
        for server in servers
    ]
    (directory / "hosts").write_text("\n".join(lines) + "\n")
    play = {
        "hosts": "all",
        "gather_facts": False,
        "environment": {"PATH": "{{ own_path }}"},
        "tasks": [_ansible_task(command) for command in commands],
    }
    (directory / "play.yml").write_text(json.dumps([play]))
    return [str(bin_dir / "ansible-playbook"), "-i", "hosts", "play.yml"], {"ANSIBLE_CONFIG": str(directory / "ansible.cfg")}


def _ansible_task(command: Command) -> dict[str, object]:
    words = ["sudo", "-n", *command.argv] if command.sudo else list(command.argv)
    told = {"argv": [f"{{% raw %}}{word}{{% endraw %}}" if "{" in word else word for word in words]}
    if command.stdin is not None:
        told["stdin"] = _text(command.stdin)
    return {"ansible.builtin.command": told, "changed_when": False, "failed_when": False}


def _prepare_pyinfra(
    directory: Path, bin_dir: Path, servers: Sequence[Sshd], commands: Sequence[Command], search_path: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Its defaults are its best: all Macs in parallel. A fact for every question, as its own operations ask."""
    hosts = [
        (
            server.name,
            {
                "ssh_hostname": "127.0.0.1",
                "ssh_port": server.port,
                "ssh_user": server.mac.user,
                "ssh_key": str(server.user_key),
                "ssh_known_hosts_file": str(servers[0].known_hosts),
                "ssh_strict_host_key_checking": "yes",
            },
        )
        for server in servers
    ]
    (directory / "hosts.py").write_text(f"hosts = {hosts!r}\n")
    asked = [_pyinfra_command(command, search_path) for command in commands]
    (directory / "deploy.py").write_text(
        "from pyinfra import host\nfrom pyinfra.facts.server import Command\n\n"
        f"for asked in {asked!r}:\n    host.get_fact(Command, command=asked)\n"
    )
    return [str(bin_dir / "pyinfra"), "hosts.py", "deploy.py", "-y"], {}


def _pyinfra_command(command: Command, search_path: Sequence[str]) -> str:
    stdin = "</dev/null" if command.stdin is None else f"<<'PEER'\n{_text(command.stdin)}\nPEER"
    return f'PATH="$PATH:{":".join(search_path)}"; {command.shell()} 2>&1 {stdin}\ntrue'


def _text(stdin: bytes | Secret) -> str:
    return stdin.reveal() if isinstance(stdin, Secret) else stdin.decode()


def _measure(words: Sequence[str], directory: Path, environment: dict[str, str]) -> Cost:
    wall, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        words, cwd=directory, env={**os.environ, **environment}, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return Cost(time.monotonic() - wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
