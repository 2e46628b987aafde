"""A module of one sentence: the Mac's colour. Small and true."""

from macfleet.core.change import Change, Unsupported
from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.inventory.settings import Strict

COLOUR = Fact("colour", (command("colour"),), lambda results: results[0].stdout.strip() or Unknown("no colour"))


class PaintArgs(Strict):
    colour: str
    coats: int = 1


class Paint:
    name = "paint"
    Args = PaintArgs
    example = "paint: {colour: green}"

    def facts(self, args, mac):
        return [COLOUR]

    def diff(self, args, mac, facts, around):
        have = facts[COLOUR]
        if isinstance(have, Unknown):
            return [have]
        if have == "glass":
            return [Unsupported("glass takes no paint")]
        return [Change("colour", have, args.colour, (command("paint", args.colour),))] if have != args.colour else []
