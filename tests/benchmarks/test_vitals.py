import os

import pytest
from vitals import MIB, Vitals, growth, read_vitals

NOISE = (0.0, 1.5, -1.0, 0.5)


def samples(mib_at, seconds=600):
    return [Vitals(at, 0, int((mib_at(at) + NOISE[at % 4]) * MIB), 20, 8) for at in range(seconds)]


@pytest.mark.parametrize(
    ("mib_at", "is_flat"),
    [
        (lambda at: 100, True),
        (lambda at: min(2000, 100 + 30 * at), True),  # caches that fill
        (lambda at: 100 + at / 20, False),  # 3 MiB a minute
        (lambda at: 100 + 200 * (at > 400), False),
        (lambda at: 300 - at / 10, True),
    ],
)
def test_memory_is_flat_when_the_last_third_is_no_higher_than_the_middle_one(mib_at, is_flat):
    assert growth(samples(mib_at)).is_flat == is_flat


def test_a_process_has_memory_files_and_threads():
    read = read_vitals(os.getpid(), 1.0)

    assert read.resident_bytes >= read.anonymous_bytes > MIB
    assert read.files >= 3
    assert read.threads >= 1


def test_a_process_that_is_gone_is_an_error():
    with pytest.raises(OSError, match="No such file"):
        read_vitals(2**22 + 1, 1.0)
