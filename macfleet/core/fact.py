"""A question to a Mac and how to understand the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from macfleet.core.command import Command
from macfleet.core.errors import Unparsable
from macfleet.core.result import Result

T = TypeVar("T")


@dataclass(frozen=True)
class Unknown:
    """Not known, and why: a value of its own, never an empty dict that looks like good news."""

    reason: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True)
class Fact(Generic[T]):
    """A question: commands, and a pure function from their results to a value.

    `parse` may return Unknown or raise Unparsable; both end as Unknown in `Facts`. Two facts with the same name and
    commands are the same question and are asked once.
    """

    name: str
    commands: tuple[Command, ...]
    parse: Callable[[Sequence[Result]], T | Unknown] = field(compare=False)

    def understand(self, results: Sequence[Result]) -> T | Unknown:
        """The value these results mean; Unknown with the reason when they mean nothing."""
        for result in results:
            if result.exit_status is None:
                return Unknown(result.failure())
        try:
            return self.parse(results)
        except Unparsable as error:
            return Unknown(str(error))


class Facts:
    """What one Mac said in one reading. Asking for a fact that was not read is a bug, and raises KeyError."""

    def __init__(self, values: Mapping[Fact[Any], Any]):
        self._values = dict(values)

    @classmethod
    def understand(cls, answers: Mapping[Fact[Any], Sequence[Result]]) -> Facts:
        return cls({fact: fact.understand(results) for fact, results in answers.items()})

    def __getitem__(self, fact: Fact[T]) -> T | Unknown:
        value: T | Unknown = self._values[fact]
        return value

    def __contains__(self, fact: object) -> bool:
        return fact in self._values

    def items(self) -> Iterable[tuple[Fact[Any], Any]]:
        return self._values.items()

    def merged(self, other: Facts) -> Facts:
        """These facts with `other`'s newer answers in place of the old ones."""
        return Facts({**self._values, **dict(other.items())})
