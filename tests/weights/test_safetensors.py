import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.errors import WeightsBroken
from macfleet.weights.safetensors import header_length, parse_header, render_header


def file_of(entries, data_bytes):
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * data_bytes


def entry(begin, end, dtype="U8", shape=None):
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


def parse(data):
    return parse_header(data, "model.safetensors", len(data))


def test_each_tensor_is_where_the_header_says_counted_from_the_start_of_the_file():
    data = file_of({"__metadata__": {"format": "mlx"}, "b": entry(8, 12, "F32", []), "a": entry(0, 8, "BF16", [2, 2])}, 12)

    header = parse(data)

    assert [(tensor.name, tensor.dtype, tensor.shape, tensor.length) for tensor in header.tensors] == [
        ("a", "BF16", (2, 2), 8),
        ("b", "F32", (), 4),
    ]
    assert header.tensors[1].offset == len(data) - 4
    assert header.metadata == {"format": "mlx"}


def test_metadata_may_be_null_as_mlx_writes_it():
    header = parse(file_of({"__metadata__": None, "a": entry(0, 8)}, 8))

    assert (header.metadata, [tensor.name for tensor in header.tensors]) == ({}, ["a"])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x01\x02", "has 2 bytes, too few to be one"),
        (b"<!DOCTYPE html><html>", "does not start like a safetensors file"),
        (struct.pack("<Q", 100) + b"{}", "is truncated inside its header"),
        (struct.pack("<Q", 2) + b"{{", "has a header that is not JSON"),
        (struct.pack("<Q", 2) + b"[]", "has a header that names no tensors"),
        (file_of({"a": {"dtype": "U8"}}, 0), "does not say where a is"),
        (file_of({"a": entry(0, 8)}, 5), "is truncated: "),
        (file_of({"a": entry(0, 8)}, 9), "is 1 bytes longer than its header says"),
        (file_of({"a": entry(0, 8), "b": entry(4, 12)}, 12), "has b overlapping a"),
        (file_of({"a": entry(0, 4), "b": entry(6, 8)}, 8), "has 2 bytes between a and b that belong to nothing"),
        (file_of({"a": {**entry(0, 8), "data_offsets": [8, 0]}}, 8), "says that a ends before it begins"),
        (file_of({"a": entry(0, 8, "F32", [3])}, 8), "gives a 8 bytes, which is not F32 of shape [3]"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong_with_it(data, said):
    with pytest.raises(WeightsBroken) as caught:
        parse(data)

    assert caught.value.what.startswith(f"model.safetensors {said}")
    assert "fetch this file again" in caught.value.hint


def test_a_dtype_of_the_future_is_believed():
    assert parse(file_of({"a": entry(0, 7, "F4_E9", [3])}, 7)).tensors[0].length == 7


@given(st.lists(st.tuples(st.text(min_size=1), st.lists(st.integers(0, 5), max_size=3)), max_size=6, unique_by=lambda item: item[0]))
def test_what_is_rendered_is_parsed_again(parts):
    parts = [(name, shape) for name, shape in parts if name != "__metadata__"]
    sizes = [len(bytes(1)) * _product(shape) for _, shape in parts]

    header = render_header([(name, "U8", tuple(shape), size) for (name, shape), size in zip(parts, sizes, strict=True)], {"format": "mlx"})
    parsed = parse_header(header, "x", len(header) + sum(sizes))

    assert {tensor.name: tensor.shape for tensor in parsed.tensors} == {name: tuple(shape) for name, shape in parts}
    assert len(header) % 8 == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_an_error_and_never_a_crash(data):
    try:
        header_length(data, "x")
        parse_header(data, "x", len(data))
    except WeightsBroken:
        pass


def _product(shape):
    total = 1
    for size in shape:
        total *= size
    return total
