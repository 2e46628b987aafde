"""Numbers of things, as sentences say them."""

from __future__ import annotations


def count(number: int, noun: str, nouns: str = "") -> str:
    """`1 Mac`, `4 Macs`, `0 findings`; `nouns` where the plural has another end than -s."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"
