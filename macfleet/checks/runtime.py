"""Is the workers' runtime there, and is it the one of this macfleet?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import join
from typing import Any

from macfleet import __version__
from macfleet.checks import findings
from macfleet.core.errors import Unparsable
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import files
from macfleet.macos.answers import parse_json_object, unparsable


@dataclass(frozen=True)
class RuntimeProof:
    """What the runtime module wrote beside the environment it built: equal proofs are equal environments."""

    macfleet: str
    python: str
    wheel_sha256: str
    lock_sha256: str


class Runtime:
    name = "runtime"
    why = "the workers of a service speak to each other only if they run the same code"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (proof_fact(mac),)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        want = f"macfleet {__version__} on Python {mac.settings.runtime.python}"
        text = facts[proof_fact(mac)]
        if isinstance(text, Unknown):
            return [findings.unknown(self, text, want)]
        if text is None:
            return [findings.fail(self, "not installed", want, "`macfleet provision` installs it")]
        try:
            proof = parse_proof(text)
        except Unparsable as error:
            return [findings.fail(self, str(error), want, "`macfleet provision` installs it anew")]
        have = f"macfleet {proof.macfleet} on Python {proof.python}"
        if proof.macfleet == __version__ and _minor(proof.python) == _minor(mac.settings.runtime.python):
            return [findings.ok(self, have, want)]
        return [findings.fail(self, have, want, "`macfleet provision` installs the version of this macfleet")]


def proof_fact(mac: Mac) -> Fact[str | None]:
    return files.file_text(join(mac.paths.runtime, "runtime.json"))


def parse_proof(text: str) -> RuntimeProof:
    values = parse_json_object("runtime.json", text)
    for key in ("macfleet", "python", "wheel_sha256", "lock_sha256"):
        if not isinstance(values.get(key), str):
            raise unparsable("runtime.json", f"no {key}")
    return RuntimeProof(values["macfleet"], values["python"], values["wheel_sha256"], values["lock_sha256"])


def _minor(python: str) -> list[str]:
    return python.split(".")[:2]
