"""The API keys of a service: read where the inventory says they are, handed to its gateway."""

from __future__ import annotations

import secrets
from pathlib import Path

from macfleet.core.errors import RequestError
from macfleet.core.secret import Secret
from macfleet.engines.base import ApiKeys, ClientKey
from macfleet.fleet.secrets import read_secret
from macfleet.inventory.mac import Service


def read_keys(service: Service, beside: Path) -> ApiKeys:
    """The keys as they are now; sources are relative to `beside`, the inventory's directory.

    Where only clients have keys, the service gets one of its own that nobody knows: with it macfleet asks the canary, chats and
    drains, and reads it from the head Mac. Raises SecretMissing, and RequestError for two names with the same key.
    """
    own = read_secret(service.api_key, beside) if service.api_key else None
    clients = tuple(ClientKey(key.name, read_secret(key.source, beside), key.concurrency) for key in service.api_keys)
    names: dict[Secret, str] = {} if own is None else {own: "api_key"}
    for client in clients:
        if (other := names.setdefault(client.key, client.name)) != client.name:
            raise RequestError(
                f"services/{service.name}: {other} and {client.name} have the same key, so nobody could tell them apart",
                hint="give each of them a key of its own",
            )
    return ApiKeys(own or (Secret(secrets.token_urlsafe(32)) if clients else None), clients)
