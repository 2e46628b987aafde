"""`user_default`: one key of a preferences domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from macfleet.core.change import Change, Diff
from macfleet.core.command import command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.result import Result
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.answers import PROGRAM_MISSING
from macfleet.macos.plist import parse_plist
from macfleet.modules.base import Surroundings


class UserDefaultArgs(Strict):
    """`domain` like com.apple.dock (the user's) or /Library/Preferences/X (the Mac's, written as root)."""

    domain: str
    key: str
    type: Literal["bool", "int", "float", "string"]
    value: str | bool | int | float

    def wanted(self) -> bool | int | float | str:
        text = str(self.value)
        match self.type:
            case "bool":
                return text.lower() in ("true", "yes", "on", "1")
            case "int":
                return int(text)
            case "float":
                return float(text)
        return text


def domain(name: str) -> Fact[Mapping[str, Any]]:
    """Everything in a preferences domain; empty when nobody wrote to it yet."""

    def understand(results: Sequence[Result]) -> Mapping[str, Any] | Unknown:
        if results[0].ok:
            return parse_plist("defaults export", results[0].stdout)
        return Unknown(results[0].failure()) if results[0].exit_status in (PROGRAM_MISSING, None) else {}

    return Fact(f"defaults {name}", (command("defaults", "export", name, "-", timeout_s=10),), understand)


class UserDefault:
    name = "user_default"
    Args = UserDefaultArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
user_default:
  domain: /Library/Preferences/com.apple.SoftwareUpdate
  key: AutomaticDownload
  type: bool
  value: false
"""

    def facts(self, args: UserDefaultArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (domain(args.domain),)

    def diff(self, args: UserDefaultArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        values = facts[domain(args.domain)]
        if isinstance(values, Unknown):
            return (values,)
        have, want = values.get(args.key), args.wanted()
        if have == want and type(have) is type(want):
            return ()
        text = _spelt(want)
        write = command("defaults", "write", args.domain, args.key, f"-{args.type}", text, sudo=args.domain.startswith("/"), timeout_s=10)
        return (Change(f"defaults {args.domain} {args.key}", "unset" if have is None else _spelt(have), text, (write,)),)


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
