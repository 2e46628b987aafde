"""The weights that macfleet has staged on a Mac, as the manifests beside them say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import says, unparsable


@dataclass(frozen=True)
class Held:
    """A model on a Mac: how many layers the whole of it has, and file → SHA-256 of what is here."""

    model: str
    layers: int
    files: Mapping[str, str]


def parse_manifests(text: str) -> tuple[Held, ...]:
    """The manifests in `text`, one after another. Raises Unparsable for one that is cut short or not macfleet's."""
    found, rest = [], text.strip()
    while rest:
        try:
            value, end = json.JSONDecoder().raw_decode(rest)
            found.append(_held(value))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise unparsable("cat manifest.json", f"{type(error).__name__}: {str(error)[:80]}") from None
        rest = rest[end:].lstrip()
    return tuple(found)


def held(paths: MacPaths) -> Fact[tuple[Held, ...]]:
    """Every model with a manifest; none where nothing was ever staged."""

    def understand(results: Sequence[Result]) -> tuple[Held, ...] | Unknown:
        if results[0].ok:
            return parse_manifests(results[0].stdout)
        return () if says(results[0], "No such file or directory") else Unknown(results[0].failure())

    wanted = ("-mindepth", "2", "-maxdepth", "2", "-name", "manifest.json", "-exec", "cat", "{}", "+")
    return Fact("staged-weights", (command("find", paths.models, *wanted, timeout_s=30),), understand)


def _held(value: Any) -> Held:
    if value["schema"] != 1:
        raise ValueError(f"schema {value['schema']}")
    files = {str(file["name"]): str(file["sha256"]) for file in value["files"]}
    for sha256 in files.values():
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError(f"{sha256[:70]} is no SHA-256")
    return Held(str(value["model"]), int(value["layers"]), files)
