from typer.testing import CliRunner

from macfleet.cli.lab import app
from macfleet.core.errors import RequestError


def test_without_a_name_the_models_are_listed():
    result = CliRunner().invoke(app, ["model"])

    assert [line.split()[0] for line in result.stdout.splitlines()] == ["smollm2-135m", "deepseek-v3-tiny"]


def test_a_model_that_is_there_is_answered_with_its_directory_and_the_next_step(tmp_path, monkeypatch):
    (tmp_path / "smollm2-135m").mkdir()
    monkeypatch.setenv("MACFLEET_MODELS", str(tmp_path))

    result = CliRunner().invoke(app, ["model", "smollm2-135m"])

    assert result.stdout.strip() == str(tmp_path / "smollm2-135m")
    assert "macfleet deploy --model smollm2-135m" in result.stderr


def test_an_unknown_model_is_a_wrong_request():
    result = CliRunner().invoke(app, ["model", "smollm"])

    assert isinstance(result.exception, RequestError)
