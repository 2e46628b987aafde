"""What every check promises: a name, a reason, and where the knowledge comes from. `macfleet explain` shows all three."""

import re
import sys

import pytest

from macfleet.checks import FLEET_CHECKS
from tests.checks.macs import CHECKS

ALL = (*CHECKS, *FLEET_CHECKS)


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.name)
def test_every_check_says_where_its_knowledge_comes_from(check):
    assert len(check.source.split()) > 3
    assert not check.source.endswith(".")


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.name)
def test_every_check_has_a_name_that_can_be_typed(check):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.name)


def test_no_two_checks_have_the_same_name():
    names = [check.name for check in ALL]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.name)
def test_the_module_of_a_check_begins_with_the_question_that_it_asks(check):
    first = (sys.modules[type(check).__module__].__doc__ or "").splitlines()[0]

    assert re.match(r"[A-Z][^?]+\?", first)
