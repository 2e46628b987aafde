"""Playbooks as files: which one a name means, and which templates it finds."""

from dataclasses import replace

import pytest

from macfleet.core.data import data_path
from macfleet.core.errors import PlaybookError, RequestError
from macfleet.inventory.settings import Settings
from macfleet.playbook.plan import fill_tasks
from macfleet.serving.playbooks import check_on, open_playbook, our_playbooks
from tests.modules.memory_mac import MAC

OWN = """\
# What our studios need besides.
vars:
  greeting: hello
tasks:
  - name: The Mac greets
    template:
      template: motd.j2
      path: /etc/motd
      vars: {greeting: "{{ vars.greeting }}"}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studios.yaml").write_text(OWN)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/motd.j2").write_text("{{ greeting }} from {{ mac.name }}\n")
    return tmp_path / "studios.yaml"


@pytest.mark.parametrize("name", ["studios.yaml", "./studios.yaml", "{path}"])
def test_an_own_playbook_is_found_by_its_path_and_finds_the_templates_beside_it(own, name):
    file = open_playbook(name.format(path=own))

    assert not file.is_ours
    assert file.about == "What our studios need besides."
    assert {"motd.j2", "agent.plist.j2"} <= set(file.templates)


@pytest.mark.parametrize("name", ["provision", "provision.yaml"])
def test_one_of_ours_is_found_by_its_name(name):
    assert open_playbook(name).is_ours


def test_a_file_that_is_there_comes_before_one_of_ours_of_the_same_name(own):
    own.rename(own.with_name("provision.yaml"))

    assert not open_playbook("provision.yaml").is_ours
    assert open_playbook("provision").is_ours


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("provsion", 'there is no playbook "provsion"', 'did you mean "provision"? (one of your own: write its path, ./provsion)'),
        ("./provision", "there is no playbook at provision", None),
    ],
)
def test_a_playbook_that_is_not_there_is_refused_with_the_near_one(own, name, said, hint):
    with pytest.raises(RequestError) as caught:
        open_playbook(name)

    assert (caught.value.what, caught.value.hint) == (said, hint)


def test_a_file_that_is_no_text_is_refused(own):
    own.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(RequestError, match=r"cannot read the playbook .*: this is no text"):
        open_playbook("studios.yaml")


def test_a_mistake_in_a_template_beside_it_is_seen_when_it_is_opened(own):
    (own.parent / "templates/motd.j2").write_text("\n{{ greting }}\n")

    with pytest.raises(PlaybookError) as caught:
        open_playbook("studios.yaml")

    assert caught.value.what == (
        'studios.yaml:7: tasks/0/template/template: templates/motd.j2:2: there is no "greting"; did you mean "greeting"?'
    )


def test_a_mistake_that_shows_on_the_macs_only_is_said_once(own):
    own.write_text(OWN.replace("/etc/motd", '"{{ mac.name }}"'))

    [error] = check_on(open_playbook("studios.yaml").playbook, [MAC, replace(MAC, name="studio-2")])

    assert str(error) == 'studios.yaml:8: tasks/0/template/path: "studio-1" is not an absolute path'


def test_a_value_that_must_be_given_for_a_run_is_no_mistake_before(own):
    own.write_text(OWN.replace("greeting: hello", "greeting:"))

    assert check_on(open_playbook("studios.yaml").playbook, [MAC]) == []
    assert check_on(open_playbook("studios.yaml", {"greeting": "hi"}).playbook, [MAC]) == []


def test_every_playbook_of_ours_says_what_it_is_for():
    assert {file.path for file in our_playbooks() if file.about.endswith(".")} == set(data_path("playbooks").glob("*.yaml"))


@pytest.mark.parametrize(("thresholds", "wanted"), [({}, None), ({"halt_level_percent": 20}, 20)])
def test_provision_leaves_the_thresholds_of_a_ups_alone_unless_the_inventory_has_them(thresholds, wanted):
    mac = replace(MAC, settings=Settings.model_validate({"ups": thresholds}))

    power = next(filled for filled in fill_tasks(open_playbook("provision").playbook, mac, {"runtime_id": "x"}) if filled.args.power_on)

    assert power.args.haltlevel == wanted
