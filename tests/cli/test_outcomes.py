"""How the Macs ended, in lines."""

import io

from macfleet.cli.outcomes import MacLine, rows_of, show_errors, show_outcomes
from macfleet.cli.output import Output
from macfleet.core.errors import AuthenticationFailed, MacfleetError, Unreachable


def shown(lines):
    stdout = io.StringIO()
    show_outcomes(Output(stdout=stdout, stderr=io.StringIO()), lines)
    return [line.rstrip() for line in stdout.getvalue().splitlines()]


def many(count, **differing):
    return [differing.get(f"studio_{number}", MacLine(f"studio-{number}", "ok", "", 0.1 * number)) for number in range(1, count + 1)]


def test_a_shelf_of_macs_is_a_line_for_each():
    assert [row.names for row in rows_of(many(8))] == [f"studio-{number}" for number in range(1, 9)]


def test_many_macs_that_ended_alike_are_one_line_with_the_time_of_the_slowest():
    failed = MacLine("studio-3", "failed", "2 changes", 9.0, ("power: unknown",))

    assert shown(many(64, studio_3=failed)) == [
        "studio-[1-2,4-64]  ok            6.4 s",
        "studio-3           failed       2 changes  9.0 s",
        "  power: unknown",
    ]


def test_macs_whose_notes_differ_are_not_alike():
    noted = MacLine("studio-2", "ok", "", 0.1, ("this Mac has no pmset womp",))

    assert len(rows_of(many(20, studio_2=noted))) == 2


def test_a_line_without_a_time_shows_none():
    assert shown([MacLine("studio-1", "unreachable")]) == ["studio-1  unreachable"]


def test_errors_that_differ_only_in_the_mac_are_said_once_with_all_their_names():
    stderr = io.StringIO()
    errors = [
        (f"studio-{number}", Unreachable(f"studio-{number} does not answer at 10.0.0.{number}:22", hint="check its power"))
        for number in range(1, 12)
    ]
    errors[4] = ("studio-5", AuthenticationFailed("studio-5 does not accept this key"))

    show_errors(Output(stdout=io.StringIO(), stderr=stderr), errors)

    assert stderr.getvalue().splitlines() == [
        "error: studio-1 does not answer at 10.0.0.1:22",
        "  the same on studio-[2-4,6-11]",
        "  hint: check its power",
        "error: studio-5 does not accept this key",
    ]


def test_a_mac_whose_name_is_a_part_of_anothers_is_not_taken_for_it():
    stderr = io.StringIO()

    show_errors(Output(stderr=stderr), [("mac", MacfleetError("mac-mini is gone")), ("mini", MacfleetError("mini is gone"))])

    assert stderr.getvalue().splitlines() == ["error: mac-mini is gone", "error: mini is gone"]
