"""Cutting a row of layers into as many pieces as there are Macs."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from operator import add

Cost = Callable[[int, int, int], float]


def split(layers: int, pieces: int, cost: Cost) -> tuple[int, ...] | None:
    """Where the pieces end, so that the dearest one is as cheap as can be; None when there is no way.

    `cost(piece, first, last)` of the layers first..last-1, `inf` for impossible. Every piece gets at least one layer.
    Exact, by dynamic programming in pieces * layers² steps: 61 layers on 4 Macs are some 7,000.
    """
    return _cheapest(layers, pieces, cost, max)


def split_by_sum(layers: int, pieces: int, cost: Cost) -> tuple[int, ...] | None:
    """As `split`, so that all pieces together are as cheap as can be."""
    return _cheapest(layers, pieces, cost, add)


def _cheapest(layers: int, pieces: int, cost: Cost, join: Callable[[float, float], float]) -> tuple[int, ...] | None:
    best: list[list[float]] = [[inf] * (layers + 1) for _ in range(pieces + 1)]
    cut: list[list[int]] = [[0] * (layers + 1) for _ in range(pieces + 1)]
    best[0][0] = 0
    for piece in range(pieces):
        for last in range(piece + 1, layers - (pieces - piece - 1) + 1):
            for first in range(piece, last):
                joined = join(best[piece][first], cost(piece, first, last)) if best[piece][first] < inf else inf
                if joined < best[piece + 1][last]:
                    best[piece + 1][last], cut[piece + 1][last] = joined, first
    return _ends(cut, layers, pieces) if best[pieces][layers] < inf else None


def _ends(cut: list[list[int]], layers: int, pieces: int) -> tuple[int, ...]:
    ends = [layers]
    for piece in range(pieces, 1, -1):
        ends.append(cut[piece][ends[-1]])
    return tuple(reversed(ends))
