"""`macfleet modules` explains the verbs from the code that runs."""

import json

import typer
from typer.testing import CliRunner

from macfleet.cli.commands import register
from macfleet.core.errors import RequestError
from macfleet.modules import MODULES

register(app := typer.Typer())


def macfleet(*words):
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"})


def test_every_verb_has_a_line():
    result = macfleet("modules")

    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [module.name for module in MODULES]


def test_a_verb_is_explained_with_its_arguments_and_an_example():
    said = macfleet("modules", "spotlight").stdout

    assert "indexed  (true or false; must be given)" in said
    assert "    spotlight: {indexed: false}" in said


def test_a_script_gets_the_same_as_json():
    answer = json.loads(macfleet("modules", "hostname", "--json").stdout)

    assert answer["schema"] == 1
    assert [module["name"] for module in answer["modules"]] == ["hostname"]
    assert answer["modules"][0]["arguments"][0]["default"] is None


def test_a_verb_that_is_not_there_is_a_wrong_request_with_the_near_one():
    ended = macfleet("modules", "spotligt")

    assert isinstance(ended.exception, RequestError)
    assert (str(ended.exception), ended.exception.hint) == ('there is no module "spotligt"', 'did you mean "spotlight"?')
