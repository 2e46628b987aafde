"""What of mx.distributed's link needs no group."""

from queue import SimpleQueue

import pytest

from macfleet.worker.link import LinkLost
from macfleet.worker.mlx.group import GroupLink
from tests.worker.test_environment import config


class NoGroup:
    """mx.distributed takes it for nothing, with a TypeError; a length of 2**31 is an OverflowError."""


@pytest.mark.parametrize("direction", ["_send_all", "_receive_all"])
def test_a_thread_that_ends_for_a_reason_nobody_expected_says_so(direction):
    said = SimpleQueue()
    link = GroupLink(config(rank=1, world=2, first_layer=1, last_layer=2), said.put)
    link._outgoing.put((b"frame", b"", b""))

    getattr(link, direction)(NoGroup())

    lost = said.get(timeout=1)
    assert isinstance(lost, LinkLost)
    assert "rank 0: " in lost.error
