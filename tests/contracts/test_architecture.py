"""The floors of the house: who may import whom, who may run, open, wait and print. Read from the source, nothing is imported."""

import ast
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "macfleet"

FLOORS = {
    "core": 0,
    "inventory": 1,
    "macos": 1,
    "models": 1,
    "checks": 2,
    "modules": 2,
    "placement": 2,
    "weights": 2,
    "window": 2,
    "health": 2,
    "playbook": 3,
    "api": 3,
    "engines": 3,
    "fleet": 4,
    "gateway": 4,
    "worker": 4,
    "agent": 4,
    "serving": 5,
    "lab": 5,
    "cli": 6,
    "dashboard": 6,
}
EDGE = 4  # below it nothing runs, opens, waits or listens

RUNNING = {"subprocess", "socket", "fabric", "paramiko", "threading", "asyncio", "zmq", "multiprocessing", "asyncssh"}
OPENING = {"open", "time.time", "time.sleep", "sleep", "os.system", "os.popen", "io.open"}
READING = {"read_text", "read_bytes", "write_text", "write_bytes"}
MAY_READ = {
    "inventory/load.py",  # the inventory itself comes as a path
    "models/catalog.py",  # its own cards.json, which is part of the package
}
KNOW_MLX = ("worker/mlx/", "lab/models", "lab/model_files.py", "lab/gguf.py")  # and the lab's real small models


@dataclass(frozen=True)
class Source:
    path: str  # relative to the package
    room: str
    text: str

    @cached_property
    def nodes(self):
        return tuple(ast.walk(ast.parse(self.text)))

    @cached_property
    def imports(self):
        """Every module that any line of the file imports, also inside functions, and its line; for `from x import y` both x and x.y."""
        return tuple(self._imports())

    @cached_property
    def calls(self):
        """What is called, as it is written, and its line."""
        return tuple((ast.unparse(node.func), node.lineno) for node in self.nodes if isinstance(node, ast.Call))

    def _imports(self):
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module, node.lineno
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@cache
def sources():
    """Read when the first test asks: to collect the tests of this file costs nothing."""
    return [
        Source(str(path.relative_to(PACKAGE)), path.relative_to(PACKAGE).parts[0], path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if len(path.relative_to(PACKAGE).parts) > 1 and "_data" not in path.parts
    ]


def below_the_edge():
    return [source for source in sources() if FLOORS.get(source.room, 0) < EDGE]


def rooms_imported_by(source):
    for module, line in source.imports:
        parts = module.split(".")
        if parts[0] == "macfleet" and len(parts) > 1 and parts[1] in FLOORS:
            yield parts[1], line


def importers_of(*packages):
    return {source.path for source in sources() for module, _ in source.imports if module.split(".")[0] in packages}


def lines(found):
    return sorted(f"macfleet/{path}:{line}: {what}" for path, line, what in found)


def test_every_room_has_a_floor():
    assert {source.room for source in sources()} <= set(FLOORS)


def test_no_import_is_relative():
    relative = [
        (source.path, node.lineno, "relative import")
        for source in sources()
        for node in source.nodes
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert lines(relative) == []


def test_a_room_imports_only_from_lower_floors():
    upward = {
        (source.path, line, f"{source.room} (floor {FLOORS[source.room]}) imports {room} (floor {FLOORS[room]})")
        for source in sources()
        for room, line in rooms_imported_by(source)
        if room != source.room and FLOORS[room] >= FLOORS[source.room]
    }

    assert lines(upward) == []


def test_what_lives_on_the_macs_needs_no_controller():
    controller = {"fleet", "inventory", "checks", "modules", "playbook"}
    found = {
        (source.path, line, f"imports {room}, which is not installed on a Mac")
        for source in sources()
        if source.room in ("gateway", "worker", "agent")
        for room, line in rooms_imported_by(source)
        if room in controller
    }

    assert lines(found) == []


def test_below_the_edge_nothing_runs_or_listens():
    found = {
        (source.path, line, f"imports {module}")
        for source in below_the_edge()
        for module, line in source.imports
        if module.split(".")[0] in RUNNING
    }

    assert lines(found) == []


def test_below_the_edge_nothing_opens_waits_or_asks_the_time():
    found = {(source.path, line, f"calls {name}()") for source in below_the_edge() for name, line in source.calls if name in OPENING}

    assert lines(found) == []


def test_below_the_edge_only_named_files_read_a_path():
    found = {
        (source.path, line, f"calls {name}()")
        for source in below_the_edge()
        for name, line in source.calls
        if name.rpartition(".")[2] in READING and source.path not in MAY_READ
    }

    assert lines(found) == []


def test_only_fleet_ssh_speaks_ssh():
    assert importers_of("fabric", "paramiko") <= {"fleet/ssh.py"}


def test_only_the_lab_serves_ssh():
    assert {path.split("/")[0] for path in importers_of("asyncssh")} <= {"lab"}


def test_only_the_workers_mlx_knows_mlx():
    strangers = {path for path in importers_of("mlx", "mlx_lm") if not path.startswith(KNOW_MLX)}

    assert strangers == set()


@pytest.mark.parametrize("name", ["print", "typer.echo", "typer.secho", "sys.stdout.write", "sys.stderr.write"])
def test_only_output_prints(name):
    # The lab's emulated programs are programs: what they print is macOS's answer, not macfleet's.
    found = {
        (source.path, line, f"calls {name}()")
        for source in sources()
        if source.path != "cli/output.py" and source.room != "lab"
        for called, line in source.calls
        if called == name
    }

    assert lines(found) == []


def test_the_walls_are_really_looked_at():
    assert len(sources()) > 50
    assert "macfleet.core.fact" in {module for source in sources() for module, _ in source.imports}
