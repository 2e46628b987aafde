"""Is the workers' runtime there, and is it the one that this controller would install?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos.runtime import Broken, Bundle, behind, runtime, starters

_HINT = "`macfleet provision` installs it; a service that runs keeps its own until it is deployed again"


class Runtime:
    """`bundle`: what this controller brings. A version number says too little: the configuration that a worker is given
    changes with the code, and a worker of another build refuses it.
    """

    name = "runtime"
    why = "the workers of a service speak to each other, and read what this macfleet writes, only if they run the same code"
    source = "macfleet's own design: the configuration that a worker reads changes with the code"

    def __init__(self, bundle: Bundle):
        self._bundle = bundle

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (runtime(mac.paths), starters(mac.paths))

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        have, wanted = facts[runtime(mac.paths)], self._bundle.runtime(mac.settings.runtime.python)
        want = str(wanted)
        match have:
            case Unknown():
                return [findings.unknown(self, have, want)]
            case None:
                return [findings.fail(self, "not installed", want, _HINT)]
            case Broken(reason=reason):
                return [findings.fail(self, f"broken: {reason}", want, _HINT)]
        if have != wanted:
            return [findings.fail(self, f"{have}: another {have.difference(wanted) or 'runtime'}", want, _HINT)]
        jobs = facts[starters(mac.paths)]
        if isinstance(jobs, Unknown):
            return [findings.unknown(self, jobs, want)]
        if services := ", ".join(behind(jobs, have.id)):
            hint = f"deploy {services} again when it suits: until then it runs as it was deployed"
            return [findings.warn(self, f"{have}; {services} was deployed with another one", want, hint)]
        return [findings.ok(self, str(have), want)]
