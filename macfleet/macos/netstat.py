"""`netstat -rn -f inet`: the routes as the kernel has them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable

_PROGRAM = "netstat -rn"


@dataclass(frozen=True)
class Route:
    """`gateway` is an address or "link#33"; `flags` as printed, "UGScIg": an I among them binds it to its interface."""

    destination: str
    gateway: str
    flags: str
    interface: str

    @property
    def is_default(self) -> bool:
        return self.destination == "default"

    @property
    def is_second(self) -> bool:
        """Only for what is sent from this interface's own address; another default route is before it."""
        return "I" in self.flags


def parse_routes(text: str) -> tuple[Route, ...]:
    """The IPv4 routes. The default ones come first: a list without another one behind them may be cut short, and is refused."""
    _, header, listing = text.partition("Internet:")
    rows = [line.split() for line in listing.splitlines() if line.strip()]
    if not header or not rows or rows[0][:4] != ["Destination", "Gateway", "Flags", "Netif"]:
        raise unparsable(_PROGRAM, "no table `Destination  Gateway  Flags  Netif` under `Internet:`")
    routes = tuple(_route(row) for row in rows[1:])
    if not routes or routes[-1].is_default:
        raise unparsable(_PROGRAM, "no route but a default one: cut short?")
    return routes


ROUTES = ask("routes", command("netstat", "-rn", "-f", "inet", timeout_s=10), parse_routes)


def _route(row: list[str]) -> Route:
    # Flags may hold digits (protocol-specific ones, UHW3I), and interfaces digits in the middle (p2p0).
    if len(row) not in (4, 5, 6) or not re.fullmatch(r"[A-Za-z1-3]+", row[2]) or not re.fullmatch(r"[a-z][a-z0-9]*", row[3], re.ASCII):
        raise unparsable(_PROGRAM, f'"{" ".join(row)[:80]}" is no route')
    return Route(*row[:4])
