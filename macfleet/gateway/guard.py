"""Who may ask and who may operate."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from macfleet.api import errors

Endpoint = Callable[[Request], Awaitable[Response]]


class Guard:
    """Stands in front of endpoints. Without a key, everybody who can connect may ask, and only this Mac may operate."""

    def __init__(self, key: SecretStr | None):
        self._key = key

    def client(self, endpoint: Endpoint) -> Endpoint:
        """For clients with the key, if there is one."""

        async def guarded(http: Request) -> Response:
            self._check_key(http)
            return await endpoint(http)

        return guarded

    def operator(self, endpoint: Endpoint) -> Endpoint:
        """For the operator: with the key, or from this Mac if there is none. Never for a page in a browser."""

        async def guarded(http: Request) -> Response:
            self._check_key(http)
            if "origin" in http.headers:
                raise errors.forbidden("This is not for browsers.")
            if self._key is None and not _is_from_this_mac(http):
                raise errors.forbidden("Without an API key this is only allowed from the gateway's own Mac.")
            return await endpoint(http)

        return guarded

    def _check_key(self, http: Request) -> None:
        if self._key is None:
            return
        scheme, _, given = http.headers.get("authorization", "").partition(" ")
        # In constant time: how long a wrong answer takes must not tell how much of the key was right.
        is_right = hmac.compare_digest(given.strip().encode(), self._key.get_secret_value().encode())
        if scheme.lower() != "bearer" or not is_right:
            raise errors.wrong_key(was_given=bool(given))


def _is_from_this_mac(http: Request) -> bool:
    """Over loopback, or to the LAN address that the gateway listens on from that very address."""
    client, server = http.scope["client"], http.scope["server"]
    return client is not None and (ip_address(client[0]).is_loopback or client[0] == server[0])
