"""The caches of slots in lanes: what they hold in memory."""

from io import StringIO

import mlx.core as mx
import pytest
from mlx_lm.models.cache import KVCache

from macfleet.worker.engine import Reuse
from macfleet.worker.mlx.lanes import Caches

TOKENS, HEADS, WIDTH = 300, 2, 64
ROW_BYTES = 2 * HEADS * TOKENS * WIDTH * 4  # keys and values in float32


def filled(tokens=TOKENS):
    cache = KVCache()
    cache.update_and_fetch(mx.ones((1, HEADS, tokens, WIDTH)), mx.ones((1, HEADS, tokens, WIDTH)))
    mx.eval(cache.state)
    return [cache]


@pytest.fixture
def held():
    """How many rows' worth of memory is held beyond what was held before."""
    before = mx.get_active_memory()
    return lambda: (mx.get_active_memory() - before) / ROW_BYTES


def test_a_kept_prefix_of_a_lane_holds_no_other_row(held):
    caches = Caches()
    for slot in range(8):
        caches.open(slot, filled(), None)
    mx.eval([entry.state for entry in caches.together(1, range(8))])

    caches.keep(3, prefix=1, tokens=TOKENS)
    for slot in range(8):
        caches.free(slot)

    assert held() == pytest.approx(1, abs=0.01)
    caches.drop(1)
    assert held() == pytest.approx(0, abs=0.01)


def test_a_kept_prefix_that_grew_alone_holds_its_tokens_and_no_room_for_more(held):
    caches = Caches()
    caches.open(1, filled(tokens=10), None)
    assert held() == pytest.approx(256 / TOKENS, abs=0.01), "mlx-lm makes room for 256 tokens at a time"

    caches.keep(1, prefix=1, tokens=10)
    caches.free(1)

    assert held() == pytest.approx(10 / TOKENS, abs=0.01)


def test_what_no_layer_reads_is_computed_all_the_same():
    caches = Caches()
    for slot in (1, 2):
        caches.open(slot, filled(), None)

    for _ in range(300):
        (entry,) = caches.together(1, (1, 2))
        mx.eval(entry.update_and_fetch(mx.ones((2, HEADS, 1, WIDTH)), mx.ones((2, HEADS, 1, WIDTH))))

    assert promises(entry.offset) < 130, "two for each step, of 300"


def promises(array):
    """How many operations are still to be done for this array."""
    graph = StringIO()
    mx.export_to_dot(graph, array)
    return graph.getvalue().count("rectangle")


def test_what_goes_on_from_a_kept_prefix_leaves_it_as_it_is():
    caches = Caches()
    caches.open(1, filled(), None)
    caches.keep(1, prefix=1, tokens=TOKENS)
    caches.open(2, [], Reuse(prefix=1, tokens=20))
    caches.open(3, [], Reuse(prefix=1, tokens=TOKENS))

    (shorter,), (whole,) = caches.alone(2), caches.alone(3)
    keys, _ = shorter.update_and_fetch(mx.zeros((1, HEADS, 1, WIDTH)), mx.zeros((1, HEADS, 1, WIDTH)))

    assert keys.shape[2] == 21
    assert keys.sum().item() == 20 * HEADS * WIDTH
    assert whole.keys.sum().item() == TOKENS * HEADS * WIDTH
