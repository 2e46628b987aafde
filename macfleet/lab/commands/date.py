"""`date`: this machine's clock, with what a rehearsal has put it wrong by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from macfleet.lab.world import Call, Reply, World, failed


def date(world: World, call: Call) -> Reply:
    words = [word for word in call.arguments if word != "-u"]
    if len(words) > 1 or (words and not words[0].startswith("+")):
        return failed("usage: date [-u] [+output_fmt]: a rehearsal Mac's clock is not set by hand")
    here = datetime.now(UTC) if "-u" in call.arguments else datetime.now().astimezone()
    now = here + timedelta(seconds=world.state.clock_off_s)
    return Reply(now.strftime(words[0][1:] if words else "%a %b %e %H:%M:%S %Z %Y") + "\n")
