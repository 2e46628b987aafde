"""`macfleet exec`: whose option is it?"""

import pytest
import typer
from typer.testing import CliRunner

from macfleet.cli.commands import register


@pytest.mark.parametrize("words", [["uname", "-s"], ["--", "uname", "-s"], ["ls", "--json"]], ids=" ".join)
def test_what_stands_behind_the_program_is_the_programs(words, tmp_path):
    register(whole := typer.Typer())

    ended = CliRunner().invoke(whole, ["exec", "--inventory", str(tmp_path / "none.yaml"), *words])

    assert "there is no inventory" in str(ended.exception)
