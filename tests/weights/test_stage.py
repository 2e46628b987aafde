import pytest

from macfleet.core.errors import WeightsBroken
from macfleet.weights.index import weight_files
from macfleet.weights.manifest import Manifest, ManifestFile, parse_manifest
from macfleet.weights.safetensors import parse_header
from macfleet.weights.stage import covers_exactly_once, plan_stage_file, stage_tensors

from .models import CONFIG, assembled, index_of, names, safetensors


def split(every):
    """The tensors in two files, cut inside a layer."""
    return {"model-00001.safetensors": safetensors(every[:5]), "model-00002.safetensors": safetensors(every[5:])}


def stage_names(index, first, last):
    return {tensor.name for tensor in stage_tensors(index, index.layout(CONFIG), first, last)}


@pytest.mark.parametrize("prefix", ["model.", "language_model.model.", "transformer."])
def test_the_stages_together_hold_every_tensor_once(prefix):
    every = names(prefix=prefix)
    index = index_of(split(every))

    stages = [stage_names(index, first, last) for first, last in ((0, 1), (1, 3), (3, 4))]

    assert sorted(name for stage in stages for name in stage) == sorted(every)


def test_the_first_stage_embeds_and_the_last_one_has_norm_and_head():
    index = index_of(split(names()))

    first, middle, last = stage_names(index, 0, 1), stage_names(index, 1, 3), stage_names(index, 3, 4)

    assert "model.embed_tokens.weight" in first
    assert all(name.startswith("model.layers.") for name in middle)
    assert {"model.norm.weight", "lm_head.weight"} <= last
    assert "model.embed_tokens.weight" not in last


def test_with_tied_embeddings_the_last_stage_gets_the_embedding_too():
    index = index_of(split(names(is_tied=True)))

    assert "model.embed_tokens.weight" in stage_names(index, 3, 4)
    assert "model.embed_tokens.weight" not in stage_names(index, 1, 3)


def test_what_mlx_lm_does_not_load_is_not_sent():
    extra = ["model.layers.4.mtp_proj.weight", "vision_tower.blocks.0.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"]
    index = index_of({"model.safetensors": safetensors([*names(), *extra])})

    assert not stage_names(index, 0, 4) & set(extra)


def test_a_tensor_of_unknown_use_goes_to_every_stage():
    index = index_of({"model.safetensors": safetensors([*names(), "model.rope_table"])})

    assert all("model.rope_table" in stage_names(index, first, last) for first, last in ((0, 1), (1, 3), (3, 4)))


def test_a_stage_file_is_a_safetensors_file_with_the_same_bytes():
    files = split(names())
    index = index_of(files)
    planned = plan_stage_file(index, index.layout(CONFIG), 1, 3)

    data = assembled(planned, files)
    header = parse_header(data, planned.name, planned.size_bytes)

    assert planned.name == "stage-1-3.safetensors"
    assert header.metadata == {"format": "mlx"}
    for tensor in header.tensors:
        source = index.tensors[tensor.name]
        wanted = files[source.file][source.offset : source.offset + source.length]
        assert (tensor.dtype, tensor.shape) == (source.dtype, source.shape)
        assert data[tensor.offset : tensor.offset + tensor.length] == wanted


def test_neighbours_in_the_source_are_one_range():
    files = split(names())
    index = index_of(files)

    ranges = plan_stage_file(index, index.layout(CONFIG), 0, 4).ranges

    assert [(part.file, part.length) for part in ranges] == [
        (file, sum(tensor.length for tensor in index.tensors.values() if tensor.file == file)) for file in files
    ]


def test_mlx_reads_a_stage_file(tmp_path):
    mx = pytest.importorskip("mlx.core")
    files = split(names())
    index = index_of(files)
    planned = plan_stage_file(index, index.layout(CONFIG), 1, 3)
    (tmp_path / planned.name).write_bytes(assembled(planned, files))

    loaded = mx.load(str(tmp_path / planned.name))

    assert set(loaded) == set(planned.tensors)
    assert {name: array.shape for name, array in loaded.items()} == {name: index.tensors[name].shape for name in loaded}


def test_the_fingerprint_of_a_stage_changes_with_its_sources():
    index = index_of(split(names()))
    planned = plan_stage_file(index, index.layout(CONFIG), 0, 1)

    one = planned.fingerprint({"model-00001.safetensors": "then"})

    assert one == planned.fingerprint({"model-00001.safetensors": "then"})
    assert one != planned.fingerprint({"model-00001.safetensors": "now"})


@pytest.mark.parametrize(
    ("stages", "is_whole"),
    [
        ([(0, 20), (20, 61)], True),
        ([(20, 61), (0, 20)], True),
        ([(0, 20), (21, 61)], False),
        ([(0, 21), (20, 61)], False),
        ([(0, 60)], False),
    ],
)
def test_every_layer_is_held_exactly_once(stages, is_whole):
    assert covers_exactly_once(stages, 61) is is_whole


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("model.embed_tokens.weight", "the weights hold no embedding"),
        ("model.layers.2.mlp.up_proj.weight", "the weights do not hold model.layers.2.mlp.up_proj.weight; the layers like it have it"),
        ("model.layers.2.", "the weights hold no layer 2 of 4"),
        ("lm_head.weight", "the weights hold no lm_head, and config.json says that it is not the embedding"),
    ],
)
def test_a_missing_tensor_is_named(gone, said):
    kept = [name for name in names() if not name.startswith(gone)]

    with pytest.raises(WeightsBroken) as caught:
        index_of({"model.safetensors": safetensors(kept)}).layout({**CONFIG, "tie_word_embeddings": False})

    assert caught.value.what == said


def test_layers_that_differ_by_design_are_whole():
    dense, expert = names(1), [name.replace("mlp.up_proj", "mlp.switch_mlp.up_proj") for name in names(4) if ".layers.0." not in name]

    layout = index_of({"model.safetensors": safetensors(sorted({*dense, *expert}))}).layout(CONFIG)

    assert layout.layers == 4


def packed(layers, *parts, scales="F16"):
    """The type of every tensor, with up_proj of these layers packed."""
    types = dict.fromkeys(names(), "F16")
    for layer in layers:
        stem = f"model.layers.{layer}.mlp.up_proj"
        types |= {f"{stem}.weight": "U32", **{f"{stem}.{part}": scales for part in parts}}
    return types


def test_a_layer_that_is_not_packed_as_the_others_are_is_whole():
    types = packed([0, 1, 3], "scales", "biases")

    assert index_of({"model.safetensors": safetensors(list(types), types)}).layout(CONFIG).layers == 4


@pytest.mark.parametrize(
    ("parts", "scales", "gone"),
    [((), "F16", "scales"), (("scales",), "F16", "biases"), (("scales",), "F32", "biases")],
)
def test_packed_weights_without_what_unpacks_them_are_refused(parts, scales, gone):
    types = packed([0, 1, 2, 3], *parts, scales=scales)

    with pytest.raises(WeightsBroken, match=rf"do not hold model\.layers\.0\.mlp\.up_proj\.{gone}, which unpacks"):
        index_of({"model.safetensors": safetensors(list(types), types)}).layout(CONFIG)


def test_mxfp4_has_scales_of_a_byte_and_no_biases():
    types = packed([0, 1, 2, 3], "scales", scales="U8")

    assert index_of({"model.safetensors": safetensors(list(types), types)}).layout(CONFIG).layers == 4


def test_what_the_index_file_promises_must_be_there():
    files = {"model-00001.safetensors": safetensors(names())}

    with pytest.raises(WeightsBroken, match=r"model-00002\.safetensors is missing; model\.safetensors\.index\.json names it"):
        index_of(files, {"lm_head.weight": "model-00002.safetensors"})
    with pytest.raises(WeightsBroken, match=r"model-00001\.safetensors does not hold model\.other, which"):
        index_of(files, {"model.other": "model-00001.safetensors"})


def test_a_tensor_in_two_files_is_refused():
    with pytest.raises(WeightsBroken, match=r"model\.norm\.weight is in a\.safetensors and in b\.safetensors"):
        index_of({"a.safetensors": safetensors(["model.norm.weight"]), "b.safetensors": safetensors(["model.norm.weight"])})


def test_an_empty_directory_holds_no_weights():
    with pytest.raises(WeightsBroken, match="there are no weights here"):
        index_of({})


def test_only_the_files_that_mlx_lm_loads_count():
    assert weight_files(["model-00002.safetensors", "consolidated.safetensors", "model.safetensors.index.json", "model.safetensors"]) == [
        "model-00002.safetensors",
        "model.safetensors",
    ]


def test_the_card_of_real_weights_counts_their_own_bytes():
    index = index_of({"model.safetensors": safetensors(names(is_tied=True), "F32")})

    card = index.card("mine", CONFIG)

    # Tensor n has 4 n bytes: the embedding 4, layer 0 the tensors 2 to 4, the norm is the fourteenth.
    assert (card.embed_bytes, card.layer_bytes[0], card.head_bytes) == (4, 8 + 12 + 16, 14 * 4 + 4)
    assert card.weight_bytes(0, 4) == sum(index.tensor_bytes().values())
    assert card.kv_bytes_per_token == 4 * 2 * 1 * 4 * 4  # layers, K and V, heads, head_dim, float32
    assert card.is_exact


def test_the_bytes_of_a_card_s_stages_are_those_of_the_stage_files():
    files = split(names(is_tied=True))
    index = index_of(files)
    card, layout = index.card("mine", CONFIG), index.layout(CONFIG)

    for first, last in ((0, 1), (1, 3), (3, 4), (0, 4)):
        assert card.weight_bytes(first, last) == sum(part.length for part in plan_stage_file(index, layout, first, last).ranges)


def test_a_manifest_is_read_as_it_was_written():
    manifest = Manifest("m", 0, 2, 4, (ManifestFile("config.json", 10, "a" * 64), ManifestFile("stage-0-2.safetensors", 99, "b" * 64, "f")))

    assert parse_manifest(manifest.render()) == manifest
    assert manifest.weights_sha256 == "b" * 64


def test_equal_sources_need_no_new_transfer():
    there = Manifest("m", 0, 2, 4, (ManifestFile("stage-0-2.safetensors", 99, "b" * 64, "f"),))

    assert there.is_same_as(Manifest("m", 0, 2, 4, (ManifestFile("stage-0-2.safetensors", 99, "", "f"),)))
    assert not there.is_same_as(Manifest("m", 0, 2, 4, (ManifestFile("stage-0-2.safetensors", 99, "", "g"),)))
    assert not there.is_same_as(Manifest("m", 0, 3, 4, there.files))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": "m"}', "null"])
def test_a_manifest_of_somebody_else_is_refused(text):
    with pytest.raises(WeightsBroken):
        parse_manifest(text)
