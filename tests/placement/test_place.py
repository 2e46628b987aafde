from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from macfleet.core.errors import PlacementRefused
from macfleet.core.units import GIB
from macfleet.models.card import ModelCard
from macfleet.models.catalog import find
from macfleet.models.kv import KvQuantization
from macfleet.placement.memory import TIGHT_SHARE, MacMemory, overhead_bytes
from macfleet.placement.place import Placement, Stage, place
from macfleet.placement.split import split
from macfleet.placement.step import StepTimes


def card(layers=61, layer_bytes=5 * GIB, **changes):
    """61 layers of 5 GiB, in the shape of DeepSeek V3."""
    sizes = (layer_bytes,) * layers if isinstance(layer_bytes, int) else tuple(layer_bytes)
    fields = {
        "name": "model", "repo": "", "family": "deepseek_v3", "quantization": "4b", "disk_bytes": 0, "hidden": 7168, "vocab": 129280,
        "context_tokens": 163840, "layer_bytes": sizes, "embed_bytes": GIB, "head_bytes": GIB, "is_tied": False,
        "kv_bytes_per_layer": (1152,) * len(sizes), "state_bytes_per_layer": (0,) * len(sizes), "is_exact": True,
    }  # fmt: skip
    return ModelCard(**{**fields, **changes})


def macs(*memory_gib, limit_gib=None, bandwidth=819.0):
    limit = limit_gib and limit_gib * GIB
    return [MacMemory(f"studio-{n}", size * GIB, limit, bandwidth) for n, size in enumerate(memory_gib, start=1)]


def layers_of(placement):
    return [stage.layers for stage in placement.stages]


def test_equal_macs_get_equal_shares_and_the_odd_layer_goes_where_no_embedding_or_head_is():
    placement = place(card(), macs(512, 512, 512, 512, limit_gib=448), context_tokens=8192, concurrency=4)

    assert layers_of(placement) in ([15, 16, 15, 15], [15, 15, 16, 15])
    assert [stage.mac for stage in placement.stages] == ["studio-1", "studio-2", "studio-3", "studio-4"]
    assert placement.warnings() == ()


def test_deepseek_v3_on_four_m3_ultra_of_512_gib_is_four_stages_that_take_as_long():
    placement = place(find("deepseek-v3"), macs(512, 512, 512, 512, limit_gib=448), context_tokens=8192, concurrency=4)

    # Three light layers and the embedding come first, the head last: it reads as much as two layers with their experts.
    assert layers_of(placement) == [16, 15, 16, 14]
    assert [round(stage.step_s * 1e3, 1) for stage in placement.stages] == [9.7, 9.2, 9.9, 9.4]
    assert all(75 * GIB < stage.weight_bytes < 100 * GIB for stage in placement.stages)
    assert sum(stage.weight_bytes for stage in placement.stages) == pytest.approx(378e9, rel=0.01)
    assert all(stage.fill < 0.25 for stage in placement.stages)


def test_a_cache_in_fewer_bits_is_counted_smaller_and_lets_a_longer_context_fit():
    model = card(kv_bytes_per_layer=(4096,) * 61, layer_bytes=GIB, kv_group_size=64)
    four = macs(56, 56, 56, 56, limit_gib=48)

    wide = place(model, four, context_tokens=32768, concurrency=4)
    narrow = place(model, four, context_tokens=32768, concurrency=4, kv_bits=4)

    assert wide.kv is None
    assert narrow.kv == KvQuantization(4, 64)
    assert sum(stage.kv_bytes for stage in wide.stages) == 61 * 4096 * (32768 + 255) * 4
    assert sum(stage.kv_bytes for stage in narrow.stages) == 61 * (1024 + 128) * (32768 + 255) * 4
    with pytest.raises(PlacementRefused) as refused:
        place(model, four, context_tokens=131072, concurrency=4)
    assert refused.value.hint == "it would fit with `kv_bits: 8` for the service, which halves the KV cache and answers requests one by one"
    assert place(model, four, context_tokens=131072, concurrency=4, kv_bits=8).kv == KvQuantization(8, 64)


def test_a_model_whose_cache_cannot_be_kept_in_fewer_bits_is_refused():
    with pytest.raises(PlacementRefused, match="model cannot keep its KV cache in 8 bits") as refused:
        place(card(), macs(512), context_tokens=8192, concurrency=4, kv_bits=8)

    assert "leave out `kv_bits`" in refused.value.hint


def test_a_tied_embedding_is_held_by_both_ends_and_once_by_a_single_mac():
    tied = card(4, GIB, is_tied=True)

    assert [stage.weight_bytes for stage in place(tied, macs(64, 64), context_tokens=64, concurrency=1).stages] == [3 * GIB, 3 * GIB]
    assert place(tied, macs(64), context_tokens=64, concurrency=1).stages[0].weight_bytes == 5 * GIB


def test_a_mac_with_twice_the_bandwidth_gets_twice_the_layers():
    uneven = [MacMemory("ultra", 512 * GIB, None, 800.0), MacMemory("max", 512 * GIB, None, 400.0)]

    placement = place(card(60, GIB, embed_bytes=0, head_bytes=0), uneven, context_tokens=8192, concurrency=1)

    assert layers_of(placement) == [40, 20]


def test_a_fast_mac_with_little_memory_gets_only_what_fits():
    uneven = [MacMemory("fast", 64 * GIB, 48 * GIB, 800.0), MacMemory("large", 512 * GIB, 448 * GIB, 400.0)]

    placement = place(card(), uneven, context_tokens=8192, concurrency=1)

    assert placement.stages[0].need_bytes <= 0.92 * 48 * GIB
    assert layers_of(placement)[1] > layers_of(placement)[0]


def test_the_head_costs_the_last_mac_as_many_layers_as_take_as_long():
    small = card(30, 14_000_000, head_bytes=113_000_000, embed_bytes=113_000_000)

    placement = place(small, macs(64, 64, 64, bandwidth=120.0), context_tokens=1024, concurrency=1)

    assert layers_of(placement) == [12, 12, 6]
    steps_s, a_layer_s = [stage.step_s for stage in placement.stages], StepTimes(small, 1).seconds(0, 1, 120.0)
    assert max(steps_s) - min(steps_s) < a_layer_s


def test_a_layer_with_experts_is_read_as_far_as_its_requests_use_them():
    sparse = card(8, GIB, expert_bytes_per_layer=(0, 0, *[GIB] * 6), expert_share=1 / 64, head_bytes=0, embed_bytes=0)

    def steps(concurrency):
        return [stage.step_bytes for stage in place(sparse, macs(64, 64), context_tokens=64, concurrency=concurrency).stages]

    assert sum(steps(1)) == 2 * GIB + 6 * GIB // 64
    assert steps(1) == [GIB, GIB + 6 * GIB // 64]
    assert sum(steps(2 * 64)) == pytest.approx(2 * GIB + 6 * GIB * (1 - (63 / 64) ** 64))


def test_the_slowest_stage_and_what_it_allows_are_said_where_speeds_are_known():
    known = place(card(4, 82 * 10**9 // 4, embed_bytes=0, head_bytes=0), macs(64, 64), context_tokens=64, concurrency=1)
    unknown = place(card(4, GIB), macs(64, 64, bandwidth=None), context_tokens=64, concurrency=1)

    assert known.step_sentence() == (
        "a decoding step should take the stages 59.06 to 59.06 ms; studio-1 is the slowest: at most 17 steps/s"
    )
    assert (unknown.step_sentence(), unknown.stages[0].step_s) == ("", None)


def test_of_two_equally_fast_ways_the_more_even_one_is_taken():
    model = card(layer_bytes=[4 * GIB, GIB, GIB, GIB, GIB], embed_bytes=0, head_bytes=0)

    assert layers_of(place(model, macs(64, 64, 64), context_tokens=64, concurrency=1)) == [1, 2, 2]


def test_where_a_bandwidth_is_unknown_layers_follow_memory():
    unknown = [MacMemory("small", 64 * GIB, 48 * GIB, None), MacMemory("large", 128 * GIB, 96 * GIB, 546.0)]

    placement = place(card(30, GIB, embed_bytes=0, head_bytes=0), unknown, context_tokens=8192, concurrency=1)

    assert layers_of(placement) == [10, 20]


def test_every_stage_is_counted_with_weights_cache_and_overhead():
    model = card(4, GIB, kv_bytes_per_layer=(1024,) * 4, hidden=1024)

    first, last = place(model, macs(64, 64), context_tokens=1024, concurrency=2).stages

    assert first.weight_bytes == last.weight_bytes == 3 * GIB  # two layers, and the embedding or the head
    assert first.kv_bytes == 2 * 1024 * (1024 + 255) * 2  # two layers, two requests, the step that a cache grows by
    assert first.need_bytes == 3 * GIB + first.kv_bytes + first.overhead_bytes
    assert first.overhead_bytes > 2 * GIB


def test_a_model_that_does_not_fit_is_refused_mac_by_mac_with_numbers():
    with pytest.raises(PlacementRefused) as refused:
        place(card(name="deepseek-v3"), macs(64, 64), context_tokens=8192, concurrency=4)

    assert refused.value.what == "deepseek-v3 does not fit on studio-1, studio-2"
    assert refused.value.truths[0].startswith(
        "studio-1 may use 44.2 GiB (92% of 48 GiB, macOS's own limit for 64 GiB, about, as no wired limit is set): "
        "3.1 GiB beside the layers, then room for 8 layers of 5 GiB"
    )
    assert refused.value.truths[1].startswith("studio-2 may use 44.2 GiB")
    assert refused.value.truths[-1].startswith("together they have room for 16 layers, deepseek-v3 has 61: 307 GiB of weights")
    assert "more Macs" in refused.value.hint


def test_a_refusal_names_the_wired_limit_that_would_do():
    with pytest.raises(PlacementRefused) as refused:
        place(card(), macs(512, limit_gib=128), context_tokens=8192, concurrency=1)

    assert "room for 22 layers" in refused.value.truths[0]
    assert refused.value.hint.startswith("it would fit with `wired_limit: 460.8 GiB`")


def test_a_refusal_says_when_the_cache_is_too_large_and_not_the_model():
    with pytest.raises(PlacementRefused) as refused:
        place(card(), macs(512, limit_gib=448), context_tokens=160000, concurrency=64)

    assert "smaller `context` or `concurrency`" in refused.value.hint


def test_what_other_services_need_is_not_there_to_be_placed():
    shared = [replace(mac, taken_bytes=300 * GIB) for mac in macs(512, 512, limit_gib=448)]

    with pytest.raises(PlacementRefused) as refused:
        place(card(), shared, context_tokens=8192, concurrency=1)

    assert "its wired limit, less 300 GiB for its other services" in refused.value.truths[0]
    assert "without the other services there" in refused.value.hint


def test_a_mac_counts_as_filled_with_what_others_take():
    placed = place(card(4, GIB), [replace(macs(64)[0], taken_bytes=32 * GIB)], context_tokens=64, concurrency=1)

    assert placed.stages[0].fill > 0.75
    assert placed.stages[0].need_bytes < 10 * GIB


def test_a_mac_too_small_for_a_single_layer_is_named():
    with pytest.raises(PlacementRefused) as refused:
        place(card(), macs(512, 8, limit_gib=None), context_tokens=8192, concurrency=1)

    assert refused.value.hint.startswith("leave out studio-2")


@pytest.mark.parametrize(
    ("model", "count", "context_tokens", "said"),
    [
        (card(), 0, 8192, "no Macs"),
        (card(2), 3, 8192, "too few for 3 Macs"),
        (card(context_tokens=4096), 2, 8192, "knows contexts of up to 4096 tokens"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_arithmetic(model, count, context_tokens, said):
    with pytest.raises(PlacementRefused, match=said):
        place(model, macs(*[512] * count), context_tokens=context_tokens, concurrency=1)


def test_stages_that_lose_a_layer_cannot_be_made():
    with pytest.raises(AssertionError, match="exactly once"):
        Placement("model", 3, 8192, 1, (Stage("a", 0, 0, 1, 1, 1, 1, 1), Stage("b", 1, 2, 3, 1, 1, 1, 1)))


@given(
    layers=st.lists(st.integers(1, 8 * GIB), min_size=1, max_size=40),
    memory=st.lists(st.tuples(st.sampled_from([16, 64, 128, 512]), st.sampled_from([None, 120.0, 273.0, 819.0])), min_size=1, max_size=6),
    concurrency=st.integers(1, 16),
)
def test_a_placement_covers_every_layer_once_and_overfills_nobody_or_is_refused(layers, memory, concurrency):
    model = card(layer_bytes=layers)
    fleet = [MacMemory(f"mac-{n}", size * GIB, None, bandwidth) for n, (size, bandwidth) in enumerate(memory)]

    try:
        placement = place(model, fleet, context_tokens=8192, concurrency=concurrency)
    except PlacementRefused:
        return

    assert [layer for stage in placement.stages for layer in range(stage.first_layer, stage.last_layer)] == list(range(len(layers)))
    assert all(stage.layers >= 1 and stage.fill <= 0.92 for stage in placement.stages)
    assert sum(stage.weight_bytes for stage in placement.stages) == sum(layers) + 2 * GIB


@given(st.lists(st.integers(1, 100), min_size=3, max_size=9), st.integers(1, 3))
def test_the_dearest_piece_is_as_cheap_as_any_cut_could_make_it(weights, pieces):
    def cost(_piece, first, last):
        return sum(weights[first:last])

    ends = split(len(weights), pieces, cost)

    best = min(max(cost(0, a, b) for a, b in cut) for cut in every_cut(0, len(weights), pieces))
    assert max(cost(0, a, b) for a, b in zip((0, *ends[:-1]), ends, strict=True)) == best


SIZES = st.integers(1, 40).map(lambda tenths: tenths * GIB // 10)
MACS = st.tuples(st.sampled_from([6, 8, 12, 24]), st.sampled_from([120.0, 273.0, 819.0]))


@given(
    layers=st.lists(SIZES, min_size=3, max_size=8),
    memory=st.lists(MACS, min_size=1, max_size=3),
    head=SIZES,
    is_tied=st.booleans(),
)
# Here the most even of the cuts that are as fast fills its first Mac to 85.5 %, and the one chosen fills none above 85 %.
@example(layers=[1610612736, 2254857830, 107374182, 107374182], memory=[(8, 273.0), (6, 120.0), (6, 120.0)], head=2362232012, is_tied=False)
def test_no_other_cut_is_faster_or_as_fast_and_roomier_or_as_roomy_and_more_even(layers, memory, head, is_tied):
    model = card(layer_bytes=layers, head_bytes=head, embed_bytes=head // 2, is_tied=is_tied)
    fleet = [MacMemory(f"mac-{n}", size * GIB, size * GIB, bandwidth) for n, (size, bandwidth) in enumerate(memory)]
    stages = StepTimes(model, rows=1)

    def seconds(cut):
        return [stages.seconds(first, last, mac.bandwidth_gb_s) for (first, last), mac in zip(cut, fleet, strict=True)]

    def need(cut):
        return [model.weight_bytes(*piece) + model.cache_bytes(*piece, 1024, 1) + overhead_bytes(model.hidden) for piece in cut]

    def fits(cut):
        return all(one <= mac.usable_bytes for one, mac in zip(need(cut), fleet, strict=True))

    def tightness(cut):
        return max(TIGHT_SHARE, *(one / mac.limit_bytes for one, mac in zip(need(cut), fleet, strict=True)))

    def unevenness(cut):
        return sum(s * s for s in seconds(cut))

    possible = [cut for cut in every_cut(0, len(layers), len(fleet)) if fits(cut)]
    try:
        placed = place(model, fleet, context_tokens=1024, concurrency=1)
    except PlacementRefused:
        assert possible == []
        return

    chosen = [(stage.first_layer, stage.last_layer) for stage in placed.stages]
    fastest = [cut for cut in possible if max(seconds(cut)) == min(max(seconds(other)) for other in possible)]
    roomiest = [cut for cut in fastest if tightness(cut) == min(map(tightness, fastest))]
    assert chosen in fastest
    assert chosen in roomiest
    assert unevenness(chosen) <= min(map(unevenness, roomiest)) * (1 + 1e-6)


def every_cut(first, last, pieces):
    if pieces == 1:
        return [[(first, last)]]
    middles = range(first + 1, last - pieces + 2)
    return [[(first, middle), *rest] for middle in middles for rest in every_cut(middle, last, pieces - 1)]


def test_there_is_no_cut_into_more_pieces_than_layers():
    assert split(2, 3, lambda *_: 1.0) is None
