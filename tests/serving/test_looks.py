"""What `verify` keeps for its next run: the latest look at each Mac, and its SSD once a day."""

import pytest

from macfleet.checks.past import History, Look, Past, Sample
from macfleet.serving.looks import FILE_NAME, Kept, Seen, load_kept, save_looks

DAY_S = 86400.0
LOOK = Look(10.0, 3, "Mon Aug 24 08:17", ("a.panic",), {"dev.macfleet.agent": 4})


def test_what_was_kept_comes_back(tmp_path):
    save_looks(tmp_path, Past(), {"studio-1": (LOOK, Sample(10.0, 5, 1)), "studio-2": (Look(10.0), None)})

    past = load_kept(tmp_path, 99.0).past

    assert past == Past(99.0, {"studio-1": History(LOOK, (Sample(10.0, 5, 1),)), "studio-2": History(Look(10.0))})


def test_the_run_whose_findings_stand_in_full_is_kept(tmp_path):
    save_looks(tmp_path, Past(), {}, Seen(12, "ab"))

    assert load_kept(tmp_path, 0.0).seen == Seen(12, "ab")


def test_a_mac_that_did_not_answer_keeps_its_past(tmp_path):
    past = Past(0.0, {"studio-1": History(LOOK, (Sample(1.0, 5, 1),))})

    save_looks(tmp_path, past, {"studio-2": (LOOK, None)})

    assert load_kept(tmp_path, 0.0).past.macs["studio-1"] == past.macs["studio-1"]


def test_one_sample_a_day_is_enough(tmp_path):
    for hour in range(0, 60, 6):
        save_looks(tmp_path, load_kept(tmp_path, 0.0).past, {"studio-1": (LOOK, Sample(hour * 3600.0, hour, 1))})

    assert [sample.at_s / DAY_S for sample in load_kept(tmp_path, 0.0).past.macs["studio-1"].samples] == [0.0, 1.0, 2.0]


def test_another_disk_begins_a_new_past(tmp_path):
    old = Past(0.0, {"studio-1": History(LOOK, (Sample(0.0, 900, 9),))})

    save_looks(tmp_path, old, {"studio-1": (LOOK, Sample(2 * DAY_S, 5, 0))})

    assert load_kept(tmp_path, 0.0).past.macs["studio-1"].samples == (Sample(2 * DAY_S, 5, 0),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"schema": 2, "macs": {}}',
        '{"schema": 1, "seen": null, "macs": {"studio-1": {"latest": {}, "samples": []}}}',
        '{"schema": 1, "seen": null, "macs": {"studio-1": {"latest": null, "samples": [["yesterday", 1, 1]]}}}',
        '{"schema": 1, "seen": null, "macs": {"studio-1": {"latest": null, "samples": [[1.0, 1]]}}}',
        '{"schema": 1, "seen": null, "macs": {"studio',
    ],
)
def test_a_file_that_nobody_understands_is_no_past(tmp_path, text):
    (tmp_path / FILE_NAME).write_text(text)

    assert load_kept(tmp_path, 7.0) == Kept(Past(7.0))


def test_nothing_kept_is_no_past(tmp_path):
    assert load_kept(tmp_path / "nowhere", 7.0) == Kept(Past(7.0))
