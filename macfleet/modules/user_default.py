"""`user_default`: one key of a preferences domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from macfleet.core.change import Change, Diff
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.defaults import delete, domain, put_back, write
from macfleet.modules.base import Surroundings

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class UserDefaultArgs(Strict):
    domain: str = Field(description="Like com.apple.dock (the user's) or /Library/Preferences/X (the Mac's, written as root)")
    key: str = Field(description="The key in it")
    type: Literal["bool", "int", "float", "string"] = Field("string", description="The type it shall have; another type differs")
    value: str | bool | int | float | None = Field(None, description="The value; not for `absent`")
    state: Literal["present", "absent"] = Field("present", description="`absent`: the key is not set, and macOS uses its own default")

    @model_validator(mode="after")
    def _has_a_value_of_its_type(self) -> Self:
        if (self.value is None) != (self.state == "absent"):
            raise ValueError("a key that is absent has no value" if self.value is not None else 'it needs a "value"')
        if self.state == "present":
            self.wanted()
        return self

    def wanted(self) -> bool | int | float | str:
        text = str(self.value)
        match self.type:
            case "bool":
                if text.lower() not in (*_TRUE, *_FALSE):
                    raise ValueError(f'"{text}" is neither true nor false')
                return text.lower() in _TRUE
            case "int":
                return int(text)
            case "float":
                return float(text)
        return text


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
        what, undo = f"defaults {args.domain} {args.key}", (put_back(args.domain, args.key, values),)
        have = _spelt(values[args.key]) if args.key in values else "unset"
        if args.state == "absent":
            return (Change(what, have, "unset", (delete(args.domain, args.key),), undo),) if args.key in values else ()
        want = args.wanted()
        if args.key in values and values[args.key] == want and type(values[args.key]) is type(want):
            return ()
        return (Change(what, have, _spelt(want), (write(args.domain, args.key, want),), undo),)


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
