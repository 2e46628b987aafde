"""The one help page that is drawn without rich."""

import re

import pytest

from macfleet.cli.overview import Overview, write_overview

OVERVIEW = Overview(
    "macfleet [OPTIONS] COMMAND",
    "Turn a shelf of Macs into one machine.",
    [("-h, --help", "Show this message and exit.")],
    [("verify", "Check the Macs: macOS, cables, RDMA, power, wired limit and the rest."), ("lab", "Rehearse with `lab up`.")],
    "Exit codes: 0 as wanted · 1 a check fails.",
)


class Page:
    text = ""

    def write(self, string):
        self.text += string


def plain(columns):
    write_overview(page := Page(), OVERVIEW, columns=columns)
    return re.sub(r"\033\[[0-9;]*m", "", page.text)


def test_what_is_long_goes_on_below_itself():
    assert plain(60) == (
        "\n Usage: macfleet [OPTIONS] COMMAND\n\n"
        " Turn a shelf of Macs into one machine.\n\n"
        "╭─ Options ────────────────────────────────────────────────╮\n"
        "│ -h, --help  Show this message and exit.                  │\n"
        "╰──────────────────────────────────────────────────────────╯\n"
        "╭─ Commands ───────────────────────────────────────────────╮\n"
        "│ verify  Check the Macs: macOS, cables, RDMA, power,      │\n"
        "│         wired limit and the rest.                        │\n"
        "│ lab     Rehearse with `lab up`.                          │\n"
        "╰──────────────────────────────────────────────────────────╯\n\n"
        " Exit codes: 0 as wanted · 1 a check fails.\n\n"
    )


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_every_line_of_a_frame_is_as_wide_as_the_frame(columns):
    framed = [line for line in plain(columns).splitlines() if line.startswith(("╭", "│", "╰"))]

    assert {len(line) for line in framed} == {min(columns, 100)}
