"""The API keys of a service: read where the inventory says they are, handed to its gateway."""

from __future__ import annotations

import secrets
from pathlib import Path

from macfleet.core.errors import RequestError, SecretMissing
from macfleet.core.secret import Secret
from macfleet.engines.base import ApiKeys, ClientKey
from macfleet.fleet.secrets import read_secret
from macfleet.inventory.mac import Service
from macfleet.inventory.settings import SecretSource


def read_keys(service: Service, beside: Path) -> ApiKeys:
    """The keys as they are now; sources are relative to `beside`, the inventory's directory.

    Where only clients have keys, the service gets one of its own that nobody knows: with it macfleet asks the canary, chats and
    drains, and reads it from the head Mac. Raises SecretMissing, and RequestError for a key that no client could send and for two
    names with the same key.
    """
    place = f"services/{service.name}"
    own = _read(service.api_key, beside, f"{place}/api_key") if service.api_key else None
    clients = tuple(
        ClientKey(key.name, _read(key.source, beside, f"{place}/api_keys/{key.name}"), key.concurrency) for key in service.api_keys
    )
    names: dict[Secret, str] = {} if own is None else {own: "api_key"}
    for client in clients:
        if (other := names.setdefault(client.key, client.name)) != client.name:
            raise RequestError(
                f"{place}: {other} and {client.name} have the same key, so nobody could tell them apart",
                hint="give each of them a key of its own",
            )
    return ApiKeys(own or (Secret(secrets.token_urlsafe(32)) if clients else None), clients)


def _read(source: SecretSource, beside: Path, place: str) -> Secret:
    try:
        key = read_secret(source, beside)
    except SecretMissing as error:
        raise SecretMissing(f"{place}: {error.what}", truths=error.truths, hint=error.hint) from error
    # It travels in an HTTP header, where Python's clients take nothing but ASCII. macfleet's own would find out at the canary.
    if not key.reveal().isascii():
        raise RequestError(f"{place}: {source} holds a key with letters that clients cannot send", hint="make one of ASCII letters alone")
    return key
