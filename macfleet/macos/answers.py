"""What the readers of macOS text share: one-command facts, and errors that name the program and what was missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from macfleet.core.command import Command
from macfleet.core.errors import Unparsable
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result

T = TypeVar("T")

LONGEST_REASON = 240
# What `sh` exits with when no program of that name is on PATH.
PROGRAM_MISSING = 127


def ask(name: str, question: Command, parse: Callable[[str], T | Unknown]) -> Fact[T]:
    """A fact of one command whose stdout says everything; any exit status but 0 is Unknown with its reason."""

    def understand(results: Sequence[Result]) -> T | Unknown:
        return parse(results[0].stdout) if results[0].ok else Unknown(results[0].failure())

    return Fact(name, (question,), understand)


def unparsable(program: str, reason: str) -> Unparsable:
    """A refusal is a sentence, however much the program printed: what it quotes is cut."""
    reason = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]} …"
    return Unparsable(f"`{program}` answered in a form macfleet does not know: {reason}")


def says(result: Result, phrase: str) -> bool:
    """`phrase` on either stream, in any case: some macOS programs report errors on stdout."""
    return phrase.lower() in f"{result.stdout}\n{result.stderr}".lower()


def parse_number(program: str, what: str, text: str) -> float:
    """A decimal number, also with the comma that some locales print."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise unparsable(program, f'{what} is "{text.strip()}", not a number') from None


def parse_whole(program: str, what: str, text: str) -> int:
    if not text.strip().isascii() or not text.strip().isdecimal() or len(text.strip()) > 20:
        raise unparsable(program, f'{what} is "{text.strip()[:40]}", not a whole number')
    return int(text)


def parse_json_object(program: str, text: str) -> dict[str, Any]:
    """The one JSON object that `text` is; Unparsable when it is cut short or something else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unparsable(program, f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise unparsable(program, f"JSON, but a {type(value).__name__} instead of an object")
    return value
