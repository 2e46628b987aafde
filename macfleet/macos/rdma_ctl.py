"""`rdma_ctl status`: the RDMA switch of this Mac. Only Recovery (or macOS 27's System Settings) can turn it."""

from __future__ import annotations

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable


def parse_rdma_ctl(text: str) -> bool:
    """True for `enabled`. It is only the switch: Macs without Thunderbolt 5 say `enabled` too."""
    match text.split():
        case ["enabled"]:
            return True
        case ["disabled"]:
            return False
    raise unparsable("rdma_ctl status", f'neither "enabled" nor "disabled" but "{text.strip()[:80]}"')


# Unknown when the program is missing (macOS before 26.2) or says something else.
STATUS = ask("rdma-switch", command("rdma_ctl", "status", timeout_s=10), parse_rdma_ctl)
