import pytest

from macfleet.gateway.epoch import EpochMemory


def test_an_epoch_is_remembered(tmp_path):
    EpochMemory(tmp_path / "state" / "epoch").remember(7)

    assert EpochMemory(tmp_path / "state" / "epoch").epoch == 7


@pytest.mark.parametrize("text", ["", "seven", "-3", "7.5"])
def test_a_file_that_says_nothing_counts_as_none(tmp_path, text):
    (tmp_path / "epoch").write_text(text)

    assert EpochMemory(tmp_path / "epoch").epoch == 0


def test_a_disk_that_cannot_be_written_stops_nobody(tmp_path, caplog):
    (tmp_path / "state").write_text("a file where the directory should be")

    EpochMemory(tmp_path / "state" / "epoch").remember(7)

    assert "cannot be remembered" in caplog.text
