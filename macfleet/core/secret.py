"""A value that never shows itself."""

from __future__ import annotations


class Secret:
    """Text that must not be printed, logged or put in argv; its `repr` and `str` hide it."""

    __slots__ = ("_value",)

    def __init__(self, value: str):
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one place that hands it over (stdin, a 0600 file)."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(•••)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))
