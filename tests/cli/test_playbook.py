"""`macfleet playbook` and the options of `macfleet run`, as typed. No Mac is asked."""

import json

import pytest
import typer
from typer.testing import CliRunner

from macfleet.cli.commands import register
from macfleet.cli.run import values_of
from macfleet.core.errors import RequestError

register(app := typer.Typer())
INVENTORY = 'fleet: {name: test}\nmacs:\n  studio-1: {address: 10.0.0.1, hardware: "Mac15,14", memory: 96 GiB}\n'
TASK = "tasks:\n  - name: The Mac is called by its name\n    file: {path: /etc/x, content: x}\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MACFLEET_INVENTORY", raising=False)
    return tmp_path


def check(*words):
    return CliRunner().invoke(app, ["playbook", "check", *words], env={"COLUMNS": "200"})


def test_a_sound_playbook_is_sound_also_where_there_is_no_inventory(here):
    (here / "a.yaml").write_text(TASK)

    ended = check("a.yaml")

    assert (ended.exit_code, ended.stdout) == (0, "a.yaml: 1 task, no mistakes\n")


def test_with_an_inventory_at_hand_the_tasks_are_filled_for_its_macs(here):
    (here / "a.yaml").write_text(TASK)
    (here / "b.yaml").write_text(TASK.replace("/etc/x", '"{{ mac.name }}"'))
    (here / "inventory.yaml").write_text(INVENTORY)

    ended = check("a.yaml", "b.yaml")

    assert (ended.exit_code, ended.stdout) == (2, "a.yaml: 1 task, no mistakes, nor for 1 Mac of the inventory\n")
    assert ended.stderr.startswith('error: b.yaml:3: tasks/0/file/path: "studio-1" is not an absolute path')


def test_every_mistake_of_every_file_is_shown_with_its_line(here):
    (here / "a.yaml").write_text(
        "tasks:\n"
        "  - name: a\n    notify: [b]\n    fil: {path: /x}\n"
        "  - name: c\n    file: {path: /x, content: '{{ mac.nmae }}'}\n"
        "handlers:\n  - name: d\n    notify: [d]\n    file: {path: /x, content: x, mode: rw}\n"
    )

    ended = check("a.yaml", "absent.yaml")

    assert ended.exit_code == 2
    assert ended.stderr.splitlines() == [
        'error: a.yaml:3: tasks/0/notify: there is no handler "b"; known: d',
        '  a.yaml:4: tasks/0/fil: there is no module "fil"; did you mean "file"?',
        '  a.yaml:6: tasks/1/file/content: there is no "nmae"; did you mean "name"?',
        "  a.yaml:9: handlers/0/notify: these notify each other in a circle: d → d",
        '  a.yaml:10: handlers/0/file/mode: "rw" is not a mode; write it like "644"',
        'error: there is no playbook "absent.yaml"',
        ended.stderr.splitlines()[-1],
    ]


def test_mistakes_are_also_told_as_json(here):
    (here / "a.yaml").write_text("tasks: []\nseriel: 1\n")

    told = json.loads(check("a.yaml", "--json").stdout)

    assert told["playbooks"][0]["mistakes"] == ['a.yaml:2: seriel: "seriel" is not a key of a playbook; did you mean "serial"?']
    assert told["summary"] == {"playbooks": 1, "wrong": 1}


def test_a_var_that_has_to_be_given_is_named(here):
    (here / "a.yaml").write_text("vars:\n  release:\n" + TASK)

    assert check("a.yaml").stdout == "a.yaml: 1 task, no mistakes; to be given with --var: release\n"
    assert check("a.yaml", "--var", "release=26.1").stdout == "a.yaml: 1 task, no mistakes\n"


def test_our_playbooks_are_listed_with_their_tags(here):
    ended = CliRunner().invoke(app, ["playbook", "list", "--json"])

    provision = next(playbook for playbook in json.loads(ended.stdout)["playbooks"] if playbook["name"] == "provision")
    assert "power" in provision["tags"]


def test_values_for_vars_are_names_with_an_equals_sign():
    assert values_of(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(RequestError, match="write NAME=VALUE"):
        values_of(["a"])
