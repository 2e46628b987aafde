"""Does the Mac answer by SSH, with the host key that was pinned for it? Judged of the connection: there is nothing to read without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.errors import Unreachable
from macfleet.core.fact import Fact, Facts
from macfleet.core.finding import Finding
from macfleet.core.outcome import Outcome
from macfleet.inventory.mac import Mac


class Reachable:
    name = "reachable"
    why = "macfleet acts only on a Mac that answers by SSH with the host key that was pinned for it"
    source = "ssh(1) on host keys; apple_ssh_and_filevault(7): the server before the boot shows the same key, and wants a password"
    want = "answers by SSH with the pinned host key"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return ()

    def judge(self, mac: Mac, outcome: Outcome[Facts]) -> Finding:
        if outcome.value is not None:
            return findings.ok(self, f"{mac.address}:{mac.port} answers with the pinned host key", "reachable")
        error = outcome.error
        have = "; ".join((str(error), *(error.truths if error else ())))
        hint = (error.hint if error else None) or f"check power, network and Remote Login of {mac.name} ({mac.address}:{mac.port})"
        if isinstance(error, Unreachable):
            return findings.fail(self, have, self.want, hint)
        return findings.unknown(self, have, self.want, hint)


REACHABLE = Reachable()
