"""What many Macs say alike is said once, with who says it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


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
    """`studio-1`, `studio-1 and studio-3`, `all 4 Macs`; `of` is how many there are."""
    if len(macs) == of and of > 2:
        return f"all {of} Macs"
    if len(macs) < 2:
        return "".join(macs)
    return f"{', '.join(macs[:-1])} and {macs[-1]}"
