"""What is awaited, in lines."""

import pytest

from macfleet.cli.folding import fold_names, name_macs
from macfleet.cli.progress import Progress


def under_way(*started):
    progress = Progress()
    for second, (who, doing) in enumerate(started):
        progress.start(who, doing, float(second))
    return progress


def test_every_mac_has_a_line_with_what_it_is_doing_and_for_how_long():
    progress = under_way(("studio-1", "reading"), ("studio-2", "pmset sleep 1 → 0"))

    assert progress.lines(10.0, room=9) == [("studio-1", "reading", "10 s"), ("studio-2", "pmset sleep 1 → 0", "9.0 s")]


def test_a_mac_that_is_waited_for_twice_over_shows_what_it_is_doing_now_and_goes_on_with_the_rest():
    progress = under_way(("studio-1", "provisioning"), ("studio-1", "pmset sleep 1 → 0"))
    inner = progress.lines(5.0, room=9)

    progress.end("studio-1", ok=True)

    assert inner == [("studio-1", "pmset sleep 1 → 0", "4.0 s")]
    assert progress.lines(5.0, room=9) == [("studio-1", "provisioning", "5.0 s")]


def test_how_many_have_ended_is_said_while_others_go_on_and_forgotten_with_the_next_round():
    progress = under_way(("a", "reading"), ("b", "reading"), ("c", "reading"))
    progress.end("a", ok=True)
    progress.end("b", ok=False)
    shown = progress.lines(9.0, room=9)

    progress.end("c", ok=True)
    progress.start("a", "reading", 9.0)

    assert shown == [("c", "reading", "7.0 s"), ("", "1 done, 1 failed", "")]
    assert progress.lines(9.0, room=9) == [("a", "reading", "0.0 s")]


def test_more_macs_than_lines_are_folded_by_what_they_do_the_longest_awaited_first():
    progress = under_way(("slow", "installing"), *((f"studio-{number}", "reading") for number in range(1, 65)))

    assert progress.lines(100.0, room=4) == [("slow", "installing", "1 min 40 s"), ("studio-[1-64]", "reading", "1 min 39 s")]


def test_what_does_not_fit_even_folded_is_counted():
    progress = under_way(*((f"mac-{number}", f"change {number}") for number in range(1, 11)))

    lines = progress.lines(10.0, room=3)

    assert [(who, doing) for who, doing, _ in lines] == [("mac-1", "change 1"), ("mac-2", "change 2"), ("8 more", "at other things")]


def test_without_anybody_under_way_there_is_nothing_to_say():
    progress = under_way(("a", "reading"))
    progress.end("a", ok=True)
    progress.end("a", ok=True)

    assert progress.lines(1.0, room=9) == []
    assert progress.sentence(1.0) == ""


def test_the_sentence_names_what_is_awaited_longest_though_the_same_mac_is_asked_meanwhile():
    progress = under_way(("studio-1", "verifying"), ("studio-1", "reading"), ("studio-2", ""))

    assert progress.sentence(4.0) == "studio-1 and 1 more: verifying (4.0 s)"


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["studio-1", "studio-2", "studio-3"], "studio-[1-3]"),
        (["studio-1", "studio-3", "studio-4"], "studio-[1,3-4]"),
        (["studio-09", "studio-10"], "studio-[09-10]"),
        (["studio-9", "studio-010"], "studio-[9,010]"),
        (["studio-1", "mini-1", "studio-2"], "studio-[1-2], mini-1"),
        (["anna", "berta"], "anna, berta"),
        (["studio", "studio2"], "studio, studio2"),
        (["7", "8"], "7, 8"),
    ],
)
def test_many_names_are_folded_by_their_numbers(names, folded):
    assert fold_names(names) == folded


def test_few_names_are_written_out():
    assert name_macs(["studio-1", "studio-2", "studio-3", "studio-4"], of=9) == "studio-1, studio-2, studio-3 and studio-4"
    assert name_macs([f"studio-{number}" for number in range(1, 6)], of=9) == "studio-[1-5]"
    assert name_macs([f"studio-{number}" for number in range(1, 6)], of=5) == "all 5 Macs"
