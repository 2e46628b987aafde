"""What many Macs say alike is said once, with who says it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)
MOST_NAMES = 4  # more are not read one by one


def fold(said: Mapping[str, Iterable[T]]) -> list[tuple[T, list[str]]]:
    """Each thing with the Macs that said it, in the order in which things are met, Mac by Mac.

    A thing that only a later Mac says stands before what both say next, else at the end.
    """
    order: list[T] = []
    who: dict[T, list[str]] = {}
    for mac, said_here in said.items():
        things = list(dict.fromkeys(said_here))
        for index, thing in enumerate(things):
            if thing not in who:
                behind = next((other for other in things[index + 1 :] if other in who), None)
                order.insert(len(order) if behind is None else order.index(behind), thing)
            who.setdefault(thing, []).append(mac)
    return [(thing, who[thing]) for thing in order]


def name_macs(macs: Sequence[str], of: int) -> str:
    """`studio-1`, `studio-1 and studio-3`, `studio-[1-7,9]`, `all 4 Macs`; `of` is how many there are."""
    if len(macs) == of and of > 2:
        return f"all {of} Macs"
    if len(macs) < 2:
        return "".join(macs)
    if len(macs) > MOST_NAMES:
        return fold_names(macs)
    return f"{', '.join(macs[:-1])} and {macs[-1]}"


def fold_names(names: Sequence[str]) -> str:
    """Many names in few letters, as ClusterShell writes them: `studio-[1-12,14], mini-3`."""
    numbers: dict[str, list[str]] = {}
    for name in names:
        stem = name.rstrip("0123456789")
        numbers.setdefault(stem if stem != name else "", []).append(name[len(stem) :] if stem != name else name)
    return ", ".join(stem + _bracketed(found) if stem else ", ".join(found) for stem, found in numbers.items())


def _bracketed(numbers: Sequence[str]) -> str:
    if len(numbers) == 1:
        return numbers[0]
    ranges: list[list[str]] = []
    for number in numbers:
        if ranges and _follows(ranges[-1][-1], number):
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return "[" + ",".join("-".join(dict.fromkeys((found[0], found[-1]))) for found in ranges) + "]"


def _follows(one: str, other: str) -> bool:
    """`9` and `10`, `09` and `10`, but not `9` and `010`: that is another name."""
    return other == str(int(one) + 1).zfill(len(one))
