"""`diskutil apfs listcryptousers /`: who may unlock the system volume, and who owns it.

On Apple silicon only a volume owner's password installs macOS updates and restarts past FileVault; root alone can do neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable

_PROGRAM = "diskutil apfs listcryptousers"
_UUID = r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"


@dataclass(frozen=True)
class CryptoUser:
    """An account, a recovery key or an MDM's token. `is_volume_owner` None: macOS did not say (Intel, or before macOS 11.3)."""

    uuid: str
    kind: str
    is_volume_owner: bool | None = None


def parse_crypto_users(text: str) -> tuple[CryptoUser, ...]:
    """Everybody in the list; empty when there is nobody.

    Raises Unparsable when the list is cut short: the headline says how many there are.
    """
    if text.startswith("No cryptographic users"):
        return ()
    headline = re.match(r"Cryptographic users? for \S+ \((\d{1,3}) found\)", text)
    if headline is None:
        raise unparsable(_PROGRAM, f'"{text.strip()[:60]}" is not its headline')
    users = tuple(_user(block) for block in re.split(r"^\+-- ", text, flags=re.MULTILINE)[1:])
    if len(users) != int(headline[1]) or not text.endswith("\n"):
        raise unparsable(_PROGRAM, f"{headline[1]} users announced, {len(users)} listed")
    if len({user.is_volume_owner is None for user in users}) > 1:
        raise unparsable(_PROGRAM, "it names owners, but not for every user")
    return users


def owns_volume(user: str, users: Mapping[str, str], crypto_users: tuple[CryptoUser, ...]) -> bool | None:
    """Whether this account is a volume owner; None where macOS names no owners."""
    uuid = users.get(user)
    return next((each.is_volume_owner for each in crypto_users if each.uuid == uuid), False)


CRYPTO_USERS = ask("crypto users", command("diskutil", "apfs", "listcryptousers", "/", timeout_s=30), parse_crypto_users)


def _user(block: str) -> CryptoUser:
    uuid = re.match(rf"({_UUID})\s", block)
    kind = re.search(r"^[| ]+Type: (.+)$", block, re.MULTILINE)
    owner = re.search(r"^[| ]+Volume Owner: (\w+)\s*$", block, re.MULTILINE)
    if uuid is None or kind is None or (owner and owner[1] not in ("Yes", "No")):
        raise unparsable(_PROGRAM, f'"{block.strip()[:60]}" is not a user')
    return CryptoUser(uuid[1], kind[1].strip(), owner[1] == "Yes" if owner else None)
