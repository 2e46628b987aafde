from __future__ import annotations

import pytest

from macfleet.fleet.ssh import open_connection
from tests.fleet.sshd import Sshd


@pytest.fixture
def make_sshd(tmp_path):
    """`make_sshd(name, **options)`: real OpenSSH servers, all stopped at the end. The first one's user key is everybody's."""
    servers: list[Sshd] = []

    def make(name: str = "studio-1", **options) -> Sshd:
        if servers:
            options.setdefault("user_key", servers[0].user_key)
        server = Sshd(tmp_path / name, name=name, **options)
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def sshd(make_sshd):
    """One real OpenSSH server."""
    return make_sshd()


@pytest.fixture
def line(sshd):
    """An open connection to the one server."""
    connection = open_connection(sshd.mac, sshd.ssh)
    yield connection
    connection.close()
