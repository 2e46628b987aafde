from types import SimpleNamespace

import pytest

from macfleet.core.errors import RequestError
from macfleet.core.template import render
from macfleet.inventory.settings import Settings


def test_holes_are_filled():
    assert render("a.j2", {"a.j2": "sleep {{ minutes }}\n"}, {"minutes": 0}) == "sleep 0\n"


def test_a_name_nobody_gave_is_an_error_with_template_and_line():
    with pytest.raises(RequestError, match=r"templates/a\.j2:2: 'minutes' is undefined"):
        render("a.j2", {"a.j2": "first\n{{ minutes }}\n"}, {})


def test_a_misspelt_setting_shows_the_near_name():
    with pytest.raises(RequestError, match='there is no "slep_min"; did you mean "sleep_min"'):
        render("a.j2", {"a.j2": "{{ settings.power.slep_min }}"}, {"settings": Settings()})


def test_a_template_that_is_not_there_shows_the_near_one():
    with pytest.raises(RequestError) as caught:
        render("worker.plst.j2", {"worker.plist.j2": ""}, {})

    assert caught.value.hint == 'did you mean "worker.plist.j2"?'


def test_a_broken_template_is_named_with_its_line():
    with pytest.raises(RequestError, match=r"templates/a\.j2:2: "):
        render("a.j2", {"a.j2": "first\n{% if %}\n"}, {})


def test_a_plist_template_escapes_what_is_filled_in():
    assert render("a.plist.j2", {"a.plist.j2": "<string>{{ x }}</string>"}, {"x": "a & b"}) == "<string>a &amp; b</string>"


def test_a_shell_template_can_quote():
    assert render("a.sh.j2", {"a.sh.j2": "cd {{ home | sh }}"}, {"home": "/Users/a b"}) == "cd '/Users/a b'"


def test_an_object_without_known_names_says_what_is_missing():
    with pytest.raises(RequestError, match="has no attribute 'x'"):
        render("a.j2", {"a.j2": "{{ thing.x }}"}, {"thing": SimpleNamespace()})


def test_an_include_that_is_not_there_is_named():
    with pytest.raises(RequestError, match=r"templates/a\.j2 includes b\.j2, which is not there"):
        render("a.j2", {"a.j2": '{% include "b.j2" %}'}, {})


def test_arithmetic_with_the_wrong_kind_of_value_is_an_error_of_that_template():
    with pytest.raises(RequestError, match=r"templates/a\.j2:2: "):
        render("a.j2", {"a.j2": "x\n{{ limit // 2 }}"}, {"limit": "auto"})
