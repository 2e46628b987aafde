"""`nvram rdma-enable`: where the RDMA switch is stored. It survives restarts."""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import says, unparsable


def parse_nvram(text: str) -> bool:
    match text.split():
        case ["rdma-enable", "1"]:
            return True
        case ["rdma-enable", "0"]:
            return False
    raise unparsable("nvram rdma-enable", f'"{text.strip()[:80]}"')


def _understand(results: Sequence[Result]) -> bool | Unknown:
    if says(results[0], "data was not found"):
        return False  # never set
    return parse_nvram(results[0].stdout) if results[0].ok else Unknown(results[0].failure())


RDMA_ENABLE: Fact[bool] = Fact("rdma-nvram", (command("nvram", "rdma-enable", timeout_s=10),), _understand)
