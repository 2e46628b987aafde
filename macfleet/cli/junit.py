"""A verification as JUnit XML: a suite for each Mac and one for the fleet, a case for each finding.

Fails are failures, what nobody could look at is an error; warnings pass and say theirs on `system-out`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as xml

from macfleet.core.finding import Finding, Verdict

if TYPE_CHECKING:
    from macfleet.serving.verify import Verification

# What XML 1.0 cannot hold; a Mac may print anything.
_UNWRITABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(verification: Verification) -> str:
    suites = [(mac.mac, mac.findings, mac.duration_s) for mac in verification.macs]
    suites.append(("the fleet", verification.fleet, 0.0))
    root = xml.Element("testsuites", {"name": "macfleet verify", **_counts(verification.findings(), verification.duration_s)})
    for name, findings, duration_s in suites:
        suite = xml.SubElement(root, "testsuite", {"name": name, **_counts(findings, duration_s)})
        for finding in findings:
            _case(suite, name, finding)
    xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml.tostring(root, encoding="unicode")}\n'


def _case(suite: xml.Element, where: str, finding: Finding) -> None:
    case = xml.SubElement(suite, "testcase", {"classname": f"macfleet.{where}", "name": finding.check, "time": "0"})
    text = _writable("\n".join(f"{word}: {said}" for word, said in _lines(finding) if said))
    match finding.verdict:
        case Verdict.FAIL:
            xml.SubElement(case, "failure", {"message": _writable(finding.have)}).text = text
        case Verdict.UNKNOWN:
            xml.SubElement(case, "error", {"message": _writable(finding.have)}).text = text
        case Verdict.WARN:
            xml.SubElement(case, "system-out").text = f"warning\n{text}"


def _lines(finding: Finding) -> tuple[tuple[str, str], ...]:
    return ("have", finding.have), ("want", finding.want), ("why", finding.why), ("hint", finding.hint)


def _counts(findings: Sequence[Finding], duration_s: float) -> dict[str, str]:
    def number(verdict: Verdict) -> str:
        return str(sum(finding.verdict is verdict for finding in findings))

    return {
        "tests": str(len(findings)),
        "failures": number(Verdict.FAIL),
        "errors": number(Verdict.UNKNOWN),
        "time": f"{duration_s:.3f}",
    }


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
