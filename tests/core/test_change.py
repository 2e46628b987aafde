from macfleet.core.change import Change
from macfleet.core.command import command


def test_a_change_is_told_in_one_line():
    change = Change("sysctl iogpu.wired_limit_mb", "0", "458752", (command("sysctl", "iogpu.wired_limit_mb=458752"),))

    assert change.line() == "sysctl iogpu.wired_limit_mb 0 → 458752"


def test_how_it_is_taken_back_is_not_what_is_done():
    do, undo = command("pmset", "-a", "sleep", "0"), command("pmset", "-a", "sleep", "1")

    change = Change("pmset sleep", "1", "0", (do,), undo=(undo,))

    assert change.commands == (do,)
    assert change.as_json() == {"what": "pmset sleep", "before": "1", "after": "0"}
