"""What rank 0 counts for the caches of running requests, against what mlx-lm's caches really take."""

from random import Random

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import KVCache

from macfleet.worker.engine import Reuse
from macfleet.worker.held import Held
from macfleet.worker.mlx.lanes import Caches

HEADS, WIDTH = 2, 64
TOKEN_BYTES = 2 * HEADS * WIDTH * 4  # key and value in float32
SLACK_BYTES = 64 * 1024  # offsets and paddings


@pytest.fixture(scope="module", autouse=True)
def every_array_has_memory_of_its_own():
    """A buffer that was kept for reuse may be longer than the array that gets it."""
    limit = mx.set_cache_limit(0)
    yield
    mx.set_cache_limit(limit)


class Stage:
    """A stage's caches, and beside them what is counted."""

    def __init__(self):
        self.caches, self.held = Caches(), Held()
        self.tokens, self.kept = {}, {}
        self.before = mx.get_active_memory()

    @property
    def held_bytes(self):
        return mx.get_active_memory() - self.before

    @property
    def counted_bytes(self):
        return (self.held.tokens + sum(self.kept.values())) * TOKEN_BYTES

    def open(self, slot, prefix=None, tokens=0):
        self.caches.open(slot, [KVCache()], Reuse(prefix, tokens) if tokens else None)
        self.held.opened(slot, tokens, copied=self.kept[prefix] if tokens else 0)
        self.tokens[slot] = tokens

    def feed(self, slot, tokens):
        self._grow(self.caches.alone(slot), 1, tokens)
        self.held.fed(slot, tokens)
        self.tokens[slot] += tokens

    def step(self, lane, slots):
        self._grow(self.caches.together(lane, slots), len(slots), 1)
        self.held.stepped(lane, slots)
        for slot in slots:
            self.tokens[slot] += 1

    def keep(self, slot, prefix):
        self.caches.keep(slot, prefix, self.tokens[slot])
        self.kept[prefix] = self.tokens[slot]
        self.free(slot)

    def free(self, slot):
        self.caches.free(slot)
        self.held.freed(slot)
        del self.tokens[slot]

    def _grow(self, cache, rows, tokens):
        new = mx.ones((rows, HEADS, tokens, WIDTH))
        cache[0].update_and_fetch(new, new)
        mx.eval([entry.state for entry in cache])


def test_a_lane_is_as_long_as_its_longest_row():
    stage = Stage()
    for slot, tokens in enumerate((1000, 20, 20, 20)):
        stage.open(slot)
        stage.feed(slot, tokens)

    stage.step(1, [0, 1, 2, 3])

    assert stage.held.tokens == 4 * (1000 + 256)
    assert stage.held_bytes == pytest.approx(stage.counted_bytes, abs=SLACK_BYTES)


def test_a_row_is_there_until_the_next_step_of_its_lane():
    stage = Stage()
    for slot, tokens in enumerate((1000, 20, 20)):
        stage.open(slot)
        stage.feed(slot, tokens)
    stage.step(1, [0, 1, 2])

    stage.free(0)
    assert stage.held.tokens == 3 * (1000 + 256)
    stage.step(1, [1, 2])

    assert stage.held.tokens == 2 * (20 + 256)
    assert stage.held_bytes == pytest.approx(stage.counted_bytes, abs=SLACK_BYTES)


def test_what_goes_on_from_a_part_of_a_prefix_copies_all_of_it():
    stage = Stage()
    stage.open(1)
    stage.feed(1, 1000)
    stage.keep(1, prefix=7)

    stage.open(2, prefix=7, tokens=20)
    stage.feed(2, 10)

    assert stage.held.tokens == 1000
    assert stage.held_bytes == pytest.approx(stage.counted_bytes, abs=SLACK_BYTES)


MOVES = ("open", "reopen", "feed", "step", "step", "step", "keep", "free")


@settings(max_examples=60)
@given(st.integers(0, 1 << 30))
def test_no_stage_holds_more_than_is_counted(seed):
    stage, chance = Stage(), Random(seed)
    for number in range(1, 50):
        slots = sorted(stage.tokens, key=lambda slot: chance.random())
        match chance.choice(MOVES):
            case "open" if len(slots) < 6:
                stage.open(number)
                stage.feed(number, chance.choice([1, 5, 100, 256, 300]))
            case "reopen" if stage.kept and len(slots) < 6:
                prefix = chance.choice(sorted(stage.kept))
                stage.open(number, prefix, chance.randint(1, stage.kept[prefix]))
                stage.feed(number, chance.randint(1, 80))
            case "feed" if slots:
                stage.feed(slots[0], chance.randint(1, 80))
            case "step" if slots:
                stage.step(chance.randint(1, 3), slots[: chance.randint(1, len(slots))])
            case "keep" if slots:
                stage.keep(slots[0], number)
            case "free" if slots:
                stage.free(slots[0])

        assert stage.held_bytes <= stage.counted_bytes + SLACK_BYTES
    for slot in list(stage.tokens):
        stage.free(slot)
    assert stage.held.tokens == 0
