"""Fixtures of the stories. A fleet is made per module: stories in one file share it and say so."""

from __future__ import annotations

import pytest

from tests.rehearsal.stage import rehearsal


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Four Macs as a careful owner would have them."""
    with rehearsal(tmp_path_factory.mktemp("fleet"), "--macs", "4") as made:
        yield made
