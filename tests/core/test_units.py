import pytest

from macfleet.core.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("448 GiB", 448 * 1024**3), ("378GB", 378 * 10**9), ("1.5 MiB", 1572864), ("12 B", 12), ("2 tib", 2 * 1024**4)]
)
def test_sizes_carry_their_unit(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["448", "448 GB?", "lots", "", "-3 GiB"])
def test_a_size_without_a_known_unit_is_refused_with_the_correction(text):
    with pytest.raises(ValueError, match=r'is not a size; write "\d+(\.\d+)? GiB"'):
        parse_size(text)


@pytest.mark.parametrize(("size_bytes", "text"), [(448 * 1024**3, "448 GiB"), (1536 * 1024**2, "1.5 GiB"), (512, "512 B")])
def test_sizes_are_printed_in_their_shortest_form(size_bytes, text):
    assert format_size(size_bytes) == text


@pytest.mark.parametrize(("text", "seconds"), [("10 min", 600), ("30 s", 30), ("1.5 h", 5400), ("250 ms", 0.25)])
def test_durations_carry_their_unit(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


def test_a_duration_without_a_unit_is_refused_with_the_correction():
    with pytest.raises(ValueError, match='write "30 s" or "30 min"'):
        parse_duration("30")


@pytest.mark.parametrize(("seconds", "text"), [(0.42, "0.4 s"), (42, "42 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_are_printed_for_people(seconds, text):
    assert format_duration(seconds) == text
