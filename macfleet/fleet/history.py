"""The journal read run by run: who did what to which Macs, and how it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from macfleet.core.words import count

Entry = Mapping[str, Any]
# Said of every line, or for `verify --since` only (`seen`); everything else of a line is its details.
_HEAD = ("time", "event", "id", "who", "mac", "seen")


@dataclass(frozen=True)
class Run:
    """The lines that one command wrote. `id` None: written before runs had numbers; then each line stands for itself."""

    id: int | None
    entries: tuple[Entry, ...]

    @property
    def who(self) -> str:
        return str(self.entries[0].get("who", ""))

    @property
    def what(self) -> str:
        """The command, in the word that its first line begins with: `provision` of `provision-begun`."""
        return str(self.entries[0].get("event", "")).removesuffix("-begun")

    @property
    def began(self) -> datetime:
        return _time(self.entries[0])

    @property
    def ended(self) -> datetime:
        return _time(self.entries[-1])

    @property
    def macs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(mac for entry in self.entries for mac in _macs(entry)))

    @property
    def changes(self) -> int:
        return sum(len(_list(entry, "changes")) for entry in self.entries)

    @property
    def errors(self) -> int:
        return sum(_is_error(entry) for entry in self.entries)

    @property
    def was_cut_off(self) -> bool:
        """It said that it began, and nothing more: killed, or the machine went down. Or it is still running."""
        return len(self.entries) == 1 and str(self.entries[0].get("event", "")).endswith("-begun")

    def sentence(self) -> str:
        """`4 Macs, 7 changes, 1 error`; a single Mac by its name."""
        where = self.macs[0] if len(self.macs) == 1 else count(len(self.macs), "Mac") if self.macs else ""
        subject = next((str(entry[key]) for key in ("service", "playbook", "program") for entry in self.entries if entry.get(key)), "")
        findings = sum(len(_list(entry, "findings")) for entry in self.entries)
        counts = ((self.changes, "change"), (findings, "finding"), (self.errors, "error"))
        said = [subject, where, *(count(number, noun) for number, noun in counts if number)]
        if self.was_cut_off:
            said.append("did not say how it ended")
        return ", ".join(word for word in said if word)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "what": self.what,
            "who": self.who,
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
            "macs": list(self.macs),
            "changes": self.changes,
            "errors": self.errors,
            "entries": [dict(entry) for entry in self.entries],
        }


def runs_of(entries: Iterable[Entry]) -> tuple[Run, ...]:
    """The runs in the order in which they began; lines that tell no time or no event are of something else."""
    runs: dict[object, list[Entry]] = {}
    for index, entry in enumerate(entries):
        if _tells(entry):
            number = entry.get("id")
            runs.setdefault(number if isinstance(number, int) else (index,), []).append(entry)
    return tuple(Run(key if isinstance(key, int) else None, tuple(lines)) for key, lines in runs.items())


def lines_of(entry: Entry) -> Iterator[str]:
    """What a line says besides its time, event and Mac, in lines for people; what nests deeper is for programs."""
    for key, value in entry.items():
        if key in _HEAD or value in (None, "", [], {}):
            continue
        match value:
            case list():
                yield from ([f"{key}: {', '.join(map(str, value))}"] if _are_words(value) else [_item(item) for item in value])
            case dict() if any(isinstance(what, list | dict) for what in value.values()):
                continue
            case dict():
                yield f"{key}: {', '.join(f'{name} {what}' for name, what in value.items())}"
            case _:
                yield f"{key}: {value}"


def _item(item: Any) -> str:
    if isinstance(item, Mapping) and {"on", "check", "verdict", "have"} <= set(item):
        return f"{item['on']}: {item['check']} {item['verdict']}: {item['have']}"
    if isinstance(item, Mapping) and {"what", "before", "after"} <= set(item):
        return f"{item['what']} {item['before']} → {item['after']}"
    return ", ".join(f"{key} {value}" for key, value in item.items()) if isinstance(item, Mapping) else str(item)


def _are_words(items: Sequence[Any]) -> bool:
    return all(isinstance(item, str) and " " not in item for item in items)


def _tells(entry: Entry) -> bool:
    try:
        _time(entry).astimezone()
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    return isinstance(entry.get("event"), str)


def _time(entry: Entry) -> datetime:
    time = datetime.fromisoformat(entry["time"])
    return time if time.tzinfo else time.astimezone()


def _macs(entry: Entry) -> Iterator[str]:
    mac, macs = entry.get("mac"), entry.get("macs")
    if isinstance(mac, str):
        yield mac
    if isinstance(macs, list | dict):
        yield from (name for name in macs if isinstance(name, str))


def _list(entry: Entry, key: str) -> Sequence[Any]:
    value = entry.get(key)
    return value if isinstance(value, list) else ()


def _is_error(entry: Entry) -> bool:
    return bool(entry.get("error") or entry.get("errors")) or str(entry.get("event")).endswith(("-failed", "-halted", "-interrupted"))
