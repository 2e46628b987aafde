"""`printenv`: by which of its addresses we talk to the Mac, as its sshd tells every session."""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.command import command
from macfleet.core.fact import Fact
from macfleet.core.result import Result


def _understand(results: Sequence[Result]) -> str | None:
    """Of "10.0.0.9 52811 10.0.0.1 22" the third word. A server that says nothing leaves it open."""
    words = results[0].stdout.split()
    return words[2] if results[0].ok and len(words) == 4 else None


OWN_ADDRESS: Fact[str | None] = Fact("own-address", (command("printenv", "SSH_CONNECTION", timeout_s=10),), _understand)
