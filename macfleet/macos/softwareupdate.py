"""`softwareupdate`: what Apple offers this Mac, and switching its own search off."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import ask, unparsable


@dataclass(frozen=True)
class Update:
    """`label` is what an installation must name exactly. `build` only of macOS itself: "25G83" out of its label."""

    label: str
    title: str
    version: str
    size_kib: int
    needs_restart: bool

    @property
    def build(self) -> str | None:
        """No marketing name is wanted of the label: macOS 27 writes `macOS 27.0.1-26A434`."""
        match = re.fullmatch(r"macOS\b.*-(\d{2}[A-Z]\d+[a-z]?)", self.label)
        return match[1] if match else None


def parse_updates(text: str) -> tuple[Update, ...]:
    """The offered updates, from both streams together; empty for "No new software available."

    Raises Unparsable when neither is there: then Apple's server was not reached, or the text is cut short.
    """
    blocks = re.split(r"^\* Label: ", text, flags=re.MULTILINE)[1:]
    if not blocks and "No new software available" not in text:
        said = [line.strip() for line in text.splitlines() if line.strip()]
        raise unparsable("softwareupdate -l", f'neither an update nor "No new software available." but "{said[-1][:80] if said else ""}"')
    return tuple(_update(block) for block in blocks)


def _understand(results: Sequence[Result]) -> tuple[Update, ...] | Unknown:
    # "No new software available." goes to stderr.
    return parse_updates(f"{results[0].stdout}\n{results[0].stderr}") if results[0].ok else Unknown(results[0].failure())


# It asks Apple, and may hang there.
UPDATES: Fact[tuple[Update, ...]] = Fact("updates", (command("softwareupdate", "-l", timeout_s=180),), _understand)


def parse_schedule(text: str) -> bool:
    """Whether macOS looks for updates by itself: "Automatic checking for updates is turned on", "Automatic check is off"."""
    match = re.search(r"\b(on|off)\s*$", text.strip())
    if match is None:
        raise unparsable("softwareupdate --schedule", f'"{text.strip()[:80]}" ends in neither on nor off')
    return match[1] == "on"


SCHEDULE = ask("update-schedule", command("softwareupdate", "--schedule", timeout_s=30), parse_schedule)


def schedule(is_on: bool) -> Command:
    return command("softwareupdate", "--schedule", "on" if is_on else "off", sudo=True)


def _update(block: str) -> Update:
    label, _, details = block.partition("\n")
    rows = re.fullmatch(
        r"\s*Title: (.*), Version: (\S+), Size: (\d{1,15})Ki?B?, Recommended: \w+,\s*(?:Action: (\w+),)?.*", details, re.DOTALL
    )
    if rows is None:
        raise unparsable("softwareupdate -l", f'"{label.strip()[:80]}" has no line with title, version and size')
    return Update(label.strip(), rows[1], rows[2], int(rows[3]), needs_restart=rows[4] == "restart")
