import sys

import pytest

from macfleet.core.errors import SecretMissing
from macfleet.core.secret import Secret
from macfleet.fleet.secrets import read_secret
from macfleet.inventory.settings import SecretSource


def python(code):
    return SecretSource(command=(sys.executable, "-c", code))


def test_a_secret_comes_from_the_environment(tmp_path):
    assert read_secret(SecretSource(env="KEY"), tmp_path, environment={"KEY": "s3cret"}) == Secret("s3cret")


def test_a_secret_is_the_first_line_of_a_file_beside_the_inventory(tmp_path):
    (tmp_path / "key").write_text("s3cret\nnot this\n")

    assert read_secret(SecretSource(file="key"), tmp_path) == Secret("s3cret")


def test_a_secret_is_what_a_command_prints(tmp_path):
    assert read_secret(python("print('s3cret')"), tmp_path) == Secret("s3cret")


def test_a_command_starts_beside_the_inventory(tmp_path):
    (tmp_path / "key").write_text("s3cret")

    assert read_secret(python("print(open('key').read())"), tmp_path) == Secret("s3cret")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (SecretSource(env="KEY"), "the environment variable KEY holds nothing"),
        (SecretSource(file="none"), "the file none cannot be read: No such file or directory"),
        (SecretSource(file="empty"), "the file empty holds nothing"),
        (SecretSource(file="binary"), "the file binary is not a text"),
        (
            SecretSource(command=("macfleet-no-such-program", "s3cret")),
            "the command `macfleet-no-such-program` was not found on this machine",
        ),
        (python("import sys; print('s3cret'); sys.exit(3)"), f"the command `{sys.executable}` ended with 3"),
        (python("pass"), f"the command `{sys.executable}` holds nothing"),
        (python("print('s3cret'); print('and more')"), f"the command `{sys.executable}` holds something that is not one line of text"),
    ],
)
def test_a_secret_that_cannot_be_had_names_its_source_and_never_its_value(tmp_path, source, said):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SecretMissing) as caught:
        read_secret(source, tmp_path, environment={})

    assert caught.value.what == said
    assert "s3cret" not in " ".join([str(caught.value), *caught.value.truths, caught.value.hint])
    assert caught.value.exit_code == 2
