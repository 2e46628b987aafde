"""Are the cables still where the inventory has them? Part of `cabling`: what was moved, what is new, what is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from macfleet.checks import findings
from macfleet.checks.findings import Named
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Cable
from macfleet.macos.cabling import Cabling, End, Link

WANT = "the cables that the inventory has under `fleet: cables:`"


def is_recorded(link: Link, recorded: Sequence[Cable]) -> bool:
    return any(_ends(link) == cable.ends for cable in recorded)


def recorded_ends(one: str, other: str, recorded: Sequence[Cable], cables: Cabling) -> tuple[End, End] | None:
    """Where the inventory has a cable between these two, when both its ports are free; `one`'s end first."""
    for cable in recorded:
        by_mac = {mac: End(mac, port) for mac, port in cable.ends}
        if set(by_mac) == {one, other} and all(end.receptacle in cables.free_ports(end.mac) for end in by_mac.values()):
            return by_mac[one], by_mac[other]
    return None


def differences(check: Named, recorded: Sequence[Cable], cables: Cabling, missing: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """What differs between Macs that were both seen. Of a pair that has no cable and needs one (`missing`) that is said already."""
    written_by_pair: dict[frozenset[str], list[Cable]] = {}
    for cable in recorded:
        written_by_pair.setdefault(frozenset((cable.mac, cable.other_mac)), []).append(cable)
    needed = {frozenset(pair) for pair in missing}
    for pair in dict.fromkeys((*written_by_pair, *cables.by_pair)):
        if not all(mac in cables.ports for mac in pair):
            continue
        links, written = cables.by_pair.get(pair, ()), written_by_pair.get(pair, [])
        gone = [cable for cable in written if all(_ends(link) != cable.ends for link in links)]
        new = [link for link in links if not is_recorded(link, recorded)]
        for cable, link in zip(gone, new, strict=False):
            yield _moved(check, cable, link)
        if pair not in needed:
            for cable in gone[len(new) :]:
                yield findings.warn(check, f"the cable `{cable}` of the inventory is not there", WANT, "plug it in, or take the line out")
        for link in new[len(gone) :] if len(links) == 1 else ():  # of a second cable it is said already that it goes
            yield findings.warn(check, f"{link} is not in the inventory", WANT, f"add `- {as_written(link)}` under `fleet: cables:`")


def as_written(link: Link) -> str:
    """As it would stand in the inventory."""
    return f"{link.a.mac}:{link.a.receptacle} {link.b.mac}:{link.b.receptacle}"


def _moved(check: Named, cable: Cable, link: Link) -> Finding:
    have = f"the cable `{cable}` of the inventory is now {link}"
    hint = f"plug it back, or write `- {as_written(link)}` instead of `- {cable}`; then `macfleet provision` moves its addresses along"
    return findings.fail(check, have, WANT, hint)


def _ends(link: Link) -> frozenset[tuple[str, int]]:
    return frozenset((end.mac, end.receptacle) for end in (link.a, link.b))
