"""How long the stages take, measured as the answers come back, and what that says about the best number of lanes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_NEW = 0.2  # weight of a new measurement
_GAIN = 1.04  # a change of lanes must promise at least this much


@dataclass
class StageCosts:
    """One stage: seconds of a decoding step by rows, and of each token of a prompt's chunk after the first, which is such a step too."""

    by_rows: dict[int, float] = field(default_factory=dict)
    per_prompt_token_s: float | None = None

    def measured_step(self, rows: int, seconds: float) -> None:
        before = self.by_rows.get(rows)
        # The first of its kind compiles, allocates and merges: not what the next one costs.
        self.by_rows[rows] = seconds if before is None else before + (min(seconds, 4 * before) - before) * _NEW

    def measured_chunk(self, tokens: int, seconds: float) -> None:
        if tokens == 1:
            return
        each, before = max(0.0, seconds - self._first_token_s) / (tokens - 1), self.per_prompt_token_s
        weight = _NEW * min(1.0, tokens / 16)  # a short chunk says little of a token
        self.per_prompt_token_s = before + (min(each, 4 * before) - before) * weight if before else each

    def chunk_s(self, tokens: int) -> float:
        """What a chunk of so many tokens should take."""
        return self._first_token_s + (self.per_prompt_token_s or 0.0) * (tokens - 1)

    @property
    def _first_token_s(self) -> float:
        """All weights are read for one token as for many."""
        return self.step_s(1) if self.by_rows else 0.0

    def step_s(self, rows: float) -> float:
        """What a step of so many rows should take: measured, or on the line through what was measured."""
        known = self.by_rows.get(int(rows)) if float(rows).is_integer() else None
        if known is not None:
            return known
        fixed, per_row = _line(dict(self.by_rows))  # a copy: the heartbeat's thread asks too, and a new number of rows may come
        return fixed + per_row * rows


@dataclass
class Costs:
    """All stages, and what a round costs besides computing and waiting for busy stages: the way along the links and back."""

    stages: list[StageCosts]
    around_s: float = 0.0

    def measured_step(self, rows: int, step_s: Sequence[float], round_s: float) -> None:
        for stage, seconds in zip(self.stages, step_s, strict=True):
            stage.measured_step(rows, seconds)
        outside, before = max(0.0, round_s - sum(step_s)), self.around_s
        self.around_s = before + (min(outside, 4 * before) - before) * _NEW if before else outside

    def measured_chunk(self, tokens: int, step_s: Sequence[float]) -> None:
        for stage, seconds in zip(self.stages, step_s, strict=True):
            stage.measured_chunk(tokens, seconds)

    @property
    def is_known(self) -> bool:
        return all(stage.by_rows for stage in self.stages)

    def steps_s(self, rows: int) -> tuple[float, ...]:
        """Each stage's step of so many rows; 0.0 for one that has not computed any yet."""
        return tuple(stage.step_s(rows) if stage.by_rows else 0.0 for stage in self.stages)

    def slowest_step_s(self, rows: int) -> float:
        return max(self.steps_s(rows), default=0.0)

    def cycle_s(self, requests: int, lanes: int) -> float:
        """How long until every one of these requests has its next token, if they share these lanes."""
        rows = requests / lanes
        steps = [stage.step_s(rows) for stage in self.stages]
        return max(lanes * max(steps), sum(steps) + self.around_s)

    def chunk_s(self, tokens: int) -> float:
        """What the slowest stage takes for a chunk of so many tokens."""
        return max(stage.chunk_s(tokens) for stage in self.stages)

    @property
    def are_chunks_known(self) -> bool:
        return all(stage.per_prompt_token_s is not None for stage in self.stages)


def best_lanes(costs: Costs, requests: int, now: int) -> int:
    """How many lanes these requests should share. As few as do as well: a batch costs a GPU that waits for memory nothing.

    Until something was measured: as many as stages, and one more to hide the way between them.
    """
    stages = len(costs.stages)
    if requests <= 1:
        return 1
    if not costs.is_known:
        return min(requests, stages + 1 if stages > 1 else 1)
    most = min(requests, 2 * stages) if stages > 1 else 1
    now = min(max(now, 1), most)
    best = min(range(1, most + 1), key=lambda lanes: (round(costs.cycle_s(requests, lanes), 6), lanes))
    fewest = next(lanes for lanes in range(1, best + 1) if costs.cycle_s(requests, lanes) <= costs.cycle_s(requests, best) * _GAIN)
    return fewest if costs.cycle_s(requests, now) >= costs.cycle_s(requests, fewest) * _GAIN or fewest < now else now


def _line(points: dict[int, float]) -> tuple[float, float]:
    """(fixed, per row) of the straight line nearest to the points; neither is negative."""
    if len(points) == 1:
        ((rows, seconds),) = points.items()
        # One point does not tell how it splits; half and half is corrected by the next one.
        return seconds / 2, seconds / 2 / rows
    mean_rows, mean_s = sum(points) / len(points), sum(points.values()) / len(points)
    spread = sum((rows - mean_rows) ** 2 for rows in points)
    slope = sum((rows - mean_rows) * (seconds - mean_s) for rows, seconds in points.items()) / spread
    slope = min(max(slope, 0.0), mean_s / mean_rows)
    return mean_s - slope * mean_rows, slope
