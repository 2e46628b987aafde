import ast
import io
import subprocess
import venv
import zipfile

import pytest
from uv import find_uv_bin

from macfleet import __version__
from macfleet.serving.wheel import ROOMS, pack_wheel, read_bundle


def sources():
    with zipfile.ZipFile(io.BytesIO(pack_wheel()[1])) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}


def imported_by(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_the_same_sources_give_the_same_bytes():
    assert pack_wheel() == pack_wheel()


def test_no_compressor_has_a_say_in_the_bytes():
    with zipfile.ZipFile(io.BytesIO(pack_wheel()[1])) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_wheel_is_named_after_the_distribution():
    assert pack_wheel()[0] == f"macfleet_ops-{__version__}-py3-none-any.whl"


def test_what_is_packed_imports_nothing_that_is_not_packed():
    rooms = {name.split(".")[1] for source in sources().values() for name in imported_by(source) if name.startswith("macfleet.")}

    assert rooms <= set(ROOMS)


def test_a_mac_gets_neither_ssh_client_nor_command_line():
    programs = {name.split(".")[0] for source in sources().values() for name in imported_by(source)}

    assert not programs & {"fabric", "paramiko", "typer", "asyncssh"}


@pytest.mark.parametrize("process", ["worker", "gateway", "agent"])
def test_every_process_of_a_mac_is_packed(process):
    assert f"macfleet/{process}/__main__.py" in sources()


def test_the_wheel_installs(tmp_path):
    name, wheel = pack_wheel()
    (tmp_path / name).write_bytes(wheel)
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"

    install = [find_uv_bin(), "pip", "install", "--no-deps", "--no-index", "--quiet", "--python", python, tmp_path / name]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    said = subprocess.run([python, "-c", "import macfleet; print(macfleet.__version__)"], capture_output=True, text=True, check=False)

    assert installed.returncode == 0, installed.stderr
    assert said.stdout.strip() == __version__


def test_the_bundle_names_a_runtime_by_its_content():
    bundle = read_bundle()

    assert bundle.id("3.12") == read_bundle().id("3.12")
    assert bundle.id("3.12") != bundle.id("3.13")
    assert b"--hash=sha256:" in bundle.lock
