"""What --help promises, for every command there is."""

import re

import pytest
import typer
from typer.testing import CliRunner

from macfleet.cli.commands import COMMANDS, register
from macfleet.cli.root import EXIT_CODES, app


def commands():
    whole = typer.Typer()
    register(whole)
    found = []

    def walk(group, prefix):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, (*prefix, name))
            else:
                found.append(pytest.param((*prefix, name), command, id=" ".join((*prefix, name))))

    walk(typer.main.get_command(whole), ())
    return found


@pytest.mark.parametrize(("path", "command"), commands())
def test_every_command_says_what_it_does_in_the_imperative_with_one_true_example(path, command):
    text = command.callback.__doc__ or ""
    first = text.strip().splitlines()[0]
    examples = re.findall(r"Example: `macfleet ([^`]+)`", text)

    assert re.match(r"[A-Z][a-z]+ ", first), f"{path}: {first!r}"
    assert len(examples) == 1, f"{path} has {len(examples)} examples"
    assert tuple(examples[0].split()[: len(path)]) == path


@pytest.mark.parametrize(("path", "command"), commands())
def test_every_option_says_what_it_means(path, command):
    silent = [parameter.name for parameter in command.params if parameter.name != "help" and not getattr(parameter, "help", None)]

    assert silent == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_macfleet_says_of_a_command_what_its_own_help_says_first(name):
    register(whole := typer.Typer())

    command = typer.main.get_command(whole).commands[name]

    assert COMMANDS[name].summary == " ".join((command.help or "").split("\n\n")[0].split())


def test_without_a_command_the_help_is_shown_and_the_request_is_wrong():
    register(app)

    result = CliRunner().invoke(app, [])

    assert result.exit_code == 2
    assert all(f"│ {name} " in result.output for name in COMMANDS)


def test_the_help_names_a_near_command():
    register(app)

    result = CliRunner().invoke(app, ["verfy"])

    assert result.exit_code == 2
    assert "Did you mean 'verify'" in result.output


def test_the_exit_codes_are_in_the_help():
    result = CliRunner().invoke(app, ["--help"])

    assert result.exit_code == 0
    assert "130 interrupted" in " ".join(result.output.split())
    assert "130 interrupted" in EXIT_CODES
