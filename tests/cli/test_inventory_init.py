"""What `inventory init` refuses before it looks for anybody."""

import pytest
from typer.testing import CliRunner

from macfleet.cli.inventory import app
from macfleet.core.errors import MacfleetError, RequestError


def refused(*words):
    result = CliRunner().invoke(app, ["init", *map(str, words)])
    assert isinstance(result.exception, MacfleetError), result.output
    return result.exception


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "inventory.yaml").write_text("macs: {}\n")

    error = refused("10.0.0.1", "--output", tmp_path / "inventory.yaml")

    assert (type(error), error.exit_code) == (RequestError, 2)
    assert (tmp_path / "inventory.yaml").read_text() == "macs: {}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [(["admin@10.0.0.1"], '"admin@10.0.0.1" is no address'), (["--wait", "3"], '--wait: "3" is not a duration; write "3 s"')],
)
def test_a_request_that_makes_no_sense_is_refused(tmp_path, words, says):
    error = refused(*words, "--output", tmp_path / "inventory.yaml")

    assert error.exit_code == 2
    assert says in str(error)


def test_where_nobody_answers_nothing_is_written(tmp_path):
    error = refused("127.0.0.1:9", "--output", tmp_path / "inventory.yaml", "--yes")

    assert (str(error), error.exit_code) == ("none of them could be read, so there is nothing to write", 3)
    assert "127.0.0.1:9 refuses SSH connections" in error.truths[0]
    assert list(tmp_path.iterdir()) == []
