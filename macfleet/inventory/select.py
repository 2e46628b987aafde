"""Which Macs an operator means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from macfleet.core.errors import RequestError
from macfleet.core.near import did_you_mean
from macfleet.inventory.mac import Inventory, Mac


def select(
    inventory: Inventory, macs: Sequence[str] = (), groups: Sequence[str] = (), tags: Sequence[str] = ()
) -> tuple[Mac, ...]:  # fmt: skip
    """The Macs that match any of `macs`, are in any of `groups` and carry any of `tags`, in inventory order.

    What is not given does not narrow; nothing given is every Mac. Wildcards (`studio-*`) work in all three. Raises
    RequestError for a word that matches nothing, with the near name, and when together they leave no Mac.
    """
    every = inventory.macs
    known_groups = dict.fromkeys(group for mac in every for group in mac.groups)
    known_tags = dict.fromkeys(tag for mac in every for tag in mac.tags)
    _require("Mac", macs, [mac.name for mac in every])
    _require("group", groups, known_groups)
    _require("tag", tags, known_tags)
    chosen = tuple(
        mac for mac in every if _fits([mac.name], macs) and _fits(mac.groups, groups) and _fits(mac.tags, tags)
    )  # fmt: skip
    if not chosen:
        raise RequestError(f"no Mac is {_asked(macs, groups, tags)} at once", hint="ask for less, or look at `macfleet inventory show`")
    return chosen


def _require(kind: str, words: Sequence[str], known: Iterable[str]) -> None:
    names = list(known)
    for word in words:
        if not any(fnmatchcase(name, word) for name in names):
            raise RequestError(f'there is no {kind} "{word}"', hint=did_you_mean(word, names) or f"no Mac has a {kind}")


def _fits(names: Sequence[str], words: Sequence[str]) -> bool:
    return not words or any(fnmatchcase(name, word) for name in names for word in words)


def _asked(macs: Sequence[str], groups: Sequence[str], tags: Sequence[str]) -> str:
    said = [("named", macs), ("in group", groups), ("tagged", tags)]
    return " and ".join(f"{kind} {' or '.join(words)}" for kind, words in said if words)
