"""The way to Macs that know nobody's key yet: by the account's password, once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.fleet.connection import Connection
from macfleet.inventory.mac import Mac, SshSettings


class PasswordLogin:
    """A `Connect` of `Fleet` that shows a password to the Macs named, and the key to all others.

    The password is sent to a Mac only behind its pinned host key.
    """

    def __init__(self, password: Secret | None, macs: Collection[str]):
        self._password = password
        self._macs = frozenset(macs)
        self._lock = threading.Lock()
        self._dialers: dict[tuple[SshSettings, bool], Any] = {}

    def __call__(self, mac: Mac, ssh: SshSettings, on_result: Callable[[Result], None]) -> Connection:
        dialer = self._dialer(ssh, by_password=self._password is not None and mac.name in self._macs)
        connection: Connection = dialer.open(mac, on_result=on_result)
        return connection

    def _dialer(self, ssh: SshSettings, *, by_password: bool) -> Any:
        with self._lock:
            if (ssh, by_password) not in self._dialers:
                from macfleet.fleet.ssh import Dialer  # loads the SSH library

                self._dialers[ssh, by_password] = Dialer(ssh, password=self._password if by_password else None)
            return self._dialers[ssh, by_password]
