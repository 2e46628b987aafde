"""Do all Macs have the same runtime, byte by byte of its lock and wheel?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.checks.runtime import RuntimeProof, parse_proof, proof_fact
from macfleet.core.errors import Unparsable
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Inventory, Mac


class SameRuntime:
    name = "same-runtime"
    why = "stages of one model must compute with the same MLX and the same code, or their results differ or they do not talk"
    want = "one runtime on all Macs"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (proof_fact(mac),)

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        proofs, unread = {}, []
        for mac in inventory.macs:
            text = findings.told(facts, mac.name, proof_fact(mac))
            if isinstance(text, Unknown):
                unread.append(mac.name)
            elif proof := _proof(text):
                proofs[mac.name] = proof
        if len(set(proofs.values())) > 1:
            return [self._differ(proofs)]
        have = f"the same on {findings.names(list(proofs))}" if proofs else "none is installed (see runtime)"
        if unread:
            told = f"the runtime of {findings.names(unread)} is not known"
            return [findings.unknown(self, f"{have}; {told}" if proofs else told, self.want)]
        return [findings.ok(self, have, self.want)]

    def _differ(self, proofs: Mapping[str, RuntimeProof]) -> Finding:
        common = Counter(proofs.values()).most_common(1)[0][0]
        others = {mac: proof for mac, proof in proofs.items() if proof != common}
        have = "; ".join(f"{mac} has another {_difference(proof, common)} than most Macs" for mac, proof in others.items())
        hint = f"`macfleet provision` with {' '.join(f'--mac {mac}' for mac in others)} installs the same everywhere"
        return findings.fail(self, have, self.want, hint)


def _proof(text: str | None) -> RuntimeProof | None:
    """None without the file, and for one nobody understands: both are findings of `runtime` on that Mac."""
    try:
        return parse_proof(text) if text is not None else None
    except Unparsable:
        return None


def _difference(proof: RuntimeProof, common: RuntimeProof) -> str:
    pairs = {
        f"macfleet ({proof.macfleet} instead of {common.macfleet})": proof.macfleet != common.macfleet,
        f"Python ({proof.python} instead of {common.python})": proof.python != common.python,
        "set of packages": proof.lock_sha256 != common.lock_sha256,
    }
    return " and ".join(what for what, differs in pairs.items() if differs) or "build of macfleet"
