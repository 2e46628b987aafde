"""What README.md tells a newcomer to type can be typed."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from macfleet.cli.commands import register
from macfleet.cli.root import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMAND = re.compile(r"(?:bin/)?macfleet |bin/\w+")

register(whole := typer.Typer())
MACFLEET = typer.main.get_command(whole)
OWN_OPTIONS = {name for parameter in typer.main.get_command(app).params for name in parameter.opts}


def shown():
    """Every line of a code block and every piece of code in a sentence, without its comment."""
    blocks = [line.strip() for line in README.splitlines() if line.startswith("    ")]
    inline = re.findall(r"`([^`\n]+)`", README)
    return list(dict.fromkeys(re.sub(r"\s+#.*", "", text) for text in (*blocks, *inline) if COMMAND.match(text)))


def table():
    """What the table of commands shows, one by one: `logs SERVICE`, `lab …`."""
    rows = [line for line in README.splitlines() if line.startswith("| `")]
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row.split("|")[1])]


def parse(words):
    """As typer would, up to where it would begin; raises its UsageError."""
    command, path = MACFLEET, "macfleet"
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{path} has no command {words[0]}"
        path, command, words = f"{path} {words[0]}", command.commands[words[0]], words[1:]
    if not hasattr(command, "commands"):
        command.make_context(path, list(words))
        return
    assert set(words) <= OWN_OPTIONS, f"{path}: {words}"


@pytest.mark.parametrize("line", [line for line in shown() if "macfleet " in line])
def test_every_macfleet_command_parses(line):
    parse(shlex.split(line)[1:])


@pytest.mark.parametrize("line", [line for line in shown() if not line.startswith(("macfleet", "bin/macfleet"))])
def test_every_other_command_is_there_and_knows_its_words(line):
    program, *words = shlex.split(line)
    source = ROOT / f"{program}.py" if (ROOT / f"{program}.py").exists() else ROOT / program

    assert (ROOT / program).stat().st_mode & 0o111
    assert [word for word in words if not re.search(rf"(^|[\s\"'|]){word}\b", source.read_text(), re.MULTILINE)] == []


def test_the_table_has_every_command_and_no_other():
    assert {code.split()[0] for code in table()} == set(MACFLEET.commands)


@pytest.mark.parametrize("code", [code for code in table() if not code.endswith(" …")])
def test_every_command_of_the_table_parses(code):
    parse(shlex.split(code))


@pytest.mark.parametrize("code", [code for code in table() if code.endswith(" …")])
def test_a_group_of_commands_is_listed_whole(code):
    group = code.split()[0]
    does = next(line for line in README.splitlines() if line.startswith(f"| `{code}`")).split("|")[2]

    assert [name for name in MACFLEET.commands[group].commands if name not in does] == []


def test_the_python_it_asks_for_is_the_one_the_package_needs():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")

    assert re.findall(r"Python (\d\.\d+) or later", README) == [needed]
    assert f"({needed.replace('.', ', ')})" in (ROOT / "bin/environment").read_text()


@pytest.mark.parametrize("path", [code for code in re.findall(r"`([\w./-]+)`", README) if re.search(r"\w/$|\.(yaml|py|lock|toml)$", code)])
def test_every_file_it_names_is_there(path):
    assert Path(path) == Path("inventory.yaml") or (ROOT / path).exists()  # the inventory is the reader's own
