"""Do all Macs hold the same model under the same name? Each has its own layers; what must agree is what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.words import count
from macfleet.inventory.mac import Inventory, Mac
from macfleet.macos.weights import Held, held


class SameWeights:
    name = "same-weights"
    why = "stages of two versions of a model compute with each other without an error, and answer nonsense"
    source = "macfleet's own manifests: the SHA-256 that each file had when it was staged"
    want = "the same files wherever a model lies"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (held(mac.paths),)

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        models: dict[str, dict[str, Held]] = {}
        unread: dict[str, str] = {}
        for mac in inventory.macs:
            match findings.told(facts, mac.name, held(mac.paths)):
                case Unknown(reason=reason):
                    unread[mac.name] = reason
                case found:
                    for each in found:
                        models.setdefault(each.model, {})[mac.name] = each
        wrong = [finding for model, holders in models.items() for finding in self._differ(model, holders)]
        if wrong:
            return wrong
        answered = [name for name in unread if name in facts]
        if answered or len(unread) == len(inventory.macs):
            return [findings.unknown(self, f"what {findings.names(answered or list(unread))} holds is not known", self.want)]
        shared = [model for model, holders in models.items() if len(holders) > 1]
        have = f"{count(len(shared), 'model')} on several Macs, the same on all" if shared else "no model lies on more than one Mac"
        return [findings.ok(self, have, self.want)]

    def _differ(self, model: str, holders: Mapping[str, Held]) -> Iterator[Finding]:
        for file in dict.fromkeys(name for each in holders.values() for name in each.files):
            yield from self._compare(model, file, {mac: each.files[file] for mac, each in holders.items() if file in each.files})
        yield from self._compare(model, "number of layers", {mac: str(each.layers) for mac, each in holders.items()})

    def _compare(self, model: str, what: str, by_mac: Mapping[str, str]) -> Iterator[Finding]:
        common, _ = Counter(by_mac.values()).most_common(1)[0]
        others = [mac for mac, value in by_mac.items() if value != common]
        if others:
            most = [mac for mac in by_mac if mac not in others]
            have = f"{model}: the {what} of {findings.names(others)} is another one than on {findings.names(most)}"
            yield findings.fail(self, have, self.want, f"`macfleet deploy` of its service stages {model} anew where it differs")
