"""The public key by which the operator is let in: the one the inventory names, else the one `ssh` would show first."""

from __future__ import annotations

import base64
import getpass
import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from macfleet.core.errors import RequestError
from macfleet.inventory.mac import SshSettings

USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")  # the order in which ssh tries them
AgentKeys = Callable[[], Sequence[tuple[str, str, str]]]


@dataclass(frozen=True)
class PublicKey:
    """A line of authorized_keys: type, key, and a comment that says whose it is. `source`: where it was found, in words."""

    type: str
    base64: str
    comment: str
    source: str

    @property
    def line(self) -> str:
        return f"{self.type} {self.base64} {self.comment}".rstrip()

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.base64 + "==")).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def find_public_key(ssh: SshSettings, home: Path | None = None, agent: AgentKeys | None = None) -> PublicKey:
    """The key that this inventory's logins show. Raises RequestError when there is none."""
    if ssh.key is not None:
        return _of_private(ssh.key)
    for kind, blob, comment in (agent or _agent_keys)():
        return PublicKey(kind, blob, comment or _whose(), "your SSH agent")
    folder = (home or Path.home()) / ".ssh"
    for name in USUAL:
        if (folder / name).is_file():
            return _of_private(folder / name)
    raise RequestError(
        "you have no SSH key that could be put on a Mac",
        truths=["your SSH agent holds none, and there is none in ~/.ssh", "nothing was changed"],
        hint="make one: `ssh-keygen -t ed25519`; or name one as `ssh: key:` in the inventory",
    )


def _of_private(path: Path) -> PublicKey:
    """From the file beside it, as ssh-keygen makes both; else from the private key itself."""
    beside = path.with_name(f"{path.name}.pub")
    try:
        words = beside.read_text(encoding="utf-8").split(None, 2)
    except (OSError, UnicodeDecodeError):
        words = []
    if len(words) >= 2 and words[0].startswith(("ssh-", "ecdsa-", "sk-")):
        comment = "".join(words[2:]).strip()
        return PublicKey(words[0], words[1], comment if comment.isprintable() else _whose(), str(beside))
    from macfleet.fleet.ssh import public_key  # loads the SSH library

    return PublicKey(*public_key(path), _whose(), str(path))


def _whose() -> str:
    return f"{getpass.getuser()}@{platform.node().partition('.')[0]}"


def _agent_keys() -> Sequence[tuple[str, str, str]]:
    from macfleet.fleet.ssh import agent_keys

    return agent_keys()
