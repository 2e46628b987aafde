import pytest

from macfleet.core.errors import MacfleetError


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("its disk is full", "studio-1: its disk is full"),
        ("studio-1 is down", "studio-1 is down"),
        ("port 9000 of studio-1's head is taken", "port 9000 of studio-1's head is taken"),
        ("nobody answers on studio-1.", "nobody answers on studio-1."),
        ("studio-1:22 refuses SSH connections", "studio-1:22 refuses SSH connections"),
        ("studio-10 is down", "studio-1: studio-10 is down"),
        ("old-studio-1 is down", "studio-1: old-studio-1 is down"),
        ("studio-1.lab is down", "studio-1: studio-1.lab is down"),
        ("studio-1/root is full", "studio-1: studio-1/root is full"),
        ("`cat /srv/studio-1/lock` ended with 1", "studio-1: `cat /srv/studio-1/lock` ended with 1"),
    ],
)
def test_an_error_names_its_mac_once(what, said):
    assert str(MacfleetError(what, mac="studio-1")) == said
