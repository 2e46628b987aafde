"""`shutdown -r now`: a restart. Its exit status says nothing: the connection goes with it, or just before."""

from __future__ import annotations

from macfleet.core.command import Command, command


def restart() -> Command:
    """Detached and a second late, so that the command itself can still end well. Proof is a changed boot session."""
    return command("sh", "-c", "nohup sh -c 'sleep 1; shutdown -r now' >/dev/null 2>&1 &", sudo=True, timeout_s=10)
