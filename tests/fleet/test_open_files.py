"""The limit that macOS sets, here set by hand."""

import resource

import pytest

from macfleet.fleet.open_files import allow_for


@pytest.fixture
def as_on_macos():
    """256 open files, as a terminal on macOS allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("macs", "files"), [(4, 256), (32, 256), (33, 260), (256, 1152)])
def test_a_fleet_may_open_the_files_that_its_macs_need_and_no_limit_is_lowered(as_on_macos, macs, files):
    allow_for(macs)

    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == files


def test_nothing_is_raised_above_what_the_system_allows(as_on_macos):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    allow_for(1 << 40)

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (10240 if hard == resource.RLIM_INFINITY else hard, hard)
