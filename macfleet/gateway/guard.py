"""Who may ask and who may operate."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from macfleet.api import errors
from macfleet.gateway.lines import DEFAULT
from macfleet.gateway.pages import is_from_here

Endpoint = Callable[[Request], Awaitable[Response]]


class Guard:
    """Stands in front of endpoints. Without a key, everybody who can connect may ask, and only this Mac may operate.

    Not so a page in a browser: whoever looks at it can connect, and does not know what it asks.

    `key` is the service's own; with one of the `client_keys` (name → key) one may ask only.
    """

    def __init__(self, key: SecretStr | None, client_keys: Mapping[str, SecretStr]):
        self._key = key
        own = {} if key is None else {DEFAULT: key}
        self._keys = {name: each.get_secret_value().encode() for name, each in {**own, **client_keys}.items()}

    def client(self, endpoint: Endpoint) -> Endpoint:
        """For clients with a key, if there is one; its name is then `http.state.key`."""

        async def guarded(http: Request) -> Response:
            http.state.key = self._name_of_key(http)
            origin = http.headers.get("origin")
            if not self._keys and origin is not None and not is_from_here(origin):
                raise errors.forbidden("Without an API key, pages in a browser may ask only if they are from this machine.")
            return await endpoint(http)

        return guarded

    def operator(self, endpoint: Endpoint) -> Endpoint:
        """For the operator: with the service's own key, or from this Mac if there is none. Never for a page in a browser."""

        async def guarded(http: Request) -> Response:
            if self._name_of_key(http) != DEFAULT:
                raise errors.forbidden("This wants the service's own API key; yours is for asking.")
            if "origin" in http.headers:
                raise errors.forbidden("This is not for browsers.")
            if self._key is None and not _is_from_this_mac(http):
                raise errors.forbidden("Without an API key this is only allowed from the gateway's own Mac.")
            return await endpoint(http)

        return guarded

    def _name_of_key(self, http: Request) -> str:
        if not self._keys:
            return DEFAULT
        scheme, _, given = http.headers.get("authorization", "").partition(" ")
        # All of them, each in constant time: how long a wrong answer takes must not tell how much of a key was right.
        right = [name for name, key in self._keys.items() if hmac.compare_digest(given.strip().encode(), key)]
        if scheme.lower() != "bearer" or not right:
            raise errors.wrong_key(was_given=bool(given))
        return right[0]


def _is_from_this_mac(http: Request) -> bool:
    """Over loopback, or to the LAN address that the gateway listens on from that very address."""
    client, server = http.scope["client"], http.scope["server"]
    return client is not None and (ip_address(client[0]).is_loopback or client[0] == server[0])
