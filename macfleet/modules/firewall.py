"""`firewall`: the application firewall, and the programs it lets in: a headless Mac shows its question to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from macfleet.core.change import Change, Diff, Difference
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.files import real_path
from macfleet.macos.socketfilterfw import STATE, add, keep_out, let_in, remove, rule, switch
from macfleet.modules.base import Surroundings
from macfleet.modules.files import AbsolutePath

_STATES = ("off", "on", "on, letting nobody in")


class FirewallArgs(Strict):
    # Not "block all": that shuts Remote Login out, too, and macfleet with it.
    state: Literal["off", "on"] | None = Field(None, description="Left alone if not given")
    allow: tuple[AbsolutePath, ...] = Field((), description="Programs that are let in; the rule is for the file behind all links")


class FirewallModule:
    """Rules come first, the switch after them: there is no moment in which a worker is shut out."""

    name = "firewall"
    Args = FirewallArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
firewall:
  state: "on"
  allow: ["{{ mac.paths.at('/opt/homebrew/bin/iperf3') }}"]
"""

    def facts(self, args: FirewallArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (STATE, *(fact for path in args.allow for fact in (rule(path), real_path(path))))

    def diff(self, args: FirewallArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        return [*_rules(args, mac, facts), *_switch(args, facts)]


def _rules(args: FirewallArgs, mac: Mac, facts: Facts) -> Iterator[Difference]:
    for path in args.allow:
        lets_in, program = facts[rule(path)], facts[real_path(path)]
        what = f"firewall rule for {mac.paths.shown(path)}"
        if isinstance(lets_in, Unknown):
            yield lets_in
        elif isinstance(program, Unknown) or program is None:
            yield Unknown(f"nothing is at {mac.paths.shown(path)}: the firewall can let in only what is there")
        elif lets_in is None:
            yield Change(what, "absent", "lets in", (add(program), let_in(program)), undo=(remove(program),))
        elif not lets_in:
            yield Change(what, "keeps out", "lets in", (let_in(program),), undo=(keep_out(program),))


def _switch(args: FirewallArgs, facts: Facts) -> Iterator[Difference]:
    have = facts[STATE]
    if isinstance(have, Unknown):
        yield have
    elif args.state is not None and _STATES[have] != args.state:
        want = _STATES.index(args.state)
        yield Change("firewall", _STATES[have], args.state, switch(want), undo=switch(have))
