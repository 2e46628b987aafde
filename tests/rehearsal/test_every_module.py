"""Every verb on a simulated Mac: wanted, done, found as wanted, and taken back. The tests share one fleet and go on from each other."""

import textwrap

import pytest

from macfleet.modules import MODULES
from tests.rehearsal.stage import rehearsal
from tests.rehearsal.test_unprovision import differences, portrait

pytestmark = pytest.mark.rehearsal

# Where the module's own example asks for what a rehearsal Mac has not: the agent's runtime, iperf3, a secret in the environment.
INSTEAD = {
    "firewall": 'firewall: {state: "on", allow: ["{{ mac.paths.at(\'/etc/ours.conf\') }}"]}',
    "launchd": "launchd: {label: com.example.x, template: sysctl.plist.j2, state: loaded, vars: {name: hw.memsize, value: 4096}}",
    "network_service": "network_service: {service: Wi-Fi, method: manual, address: 10.9.0.11/24, router: 10.9.0.1}",
    "tailscale": "tailscale: {hostname: studio-1, ssh: true, auth_key: {file: tailscale.key}}",
}
# Made and taken back in test_unprovision.py: its packages are some hundred MB.
ELSEWHERE = {"runtime"}
FIRST = """\
  - name: There is a program that may be let in, which only its owner may read
    file: {path: "{{ mac.paths.at('/etc/ours.conf') }}", content: "x", mode: "600"}
  - name: Homebrew has brought Tailscale
    homebrew: {formulae: [tailscale]}
"""


def playbook():
    tasks = (
        f"  - name: {module.name}\n" + textwrap.indent(INSTEAD.get(module.name, module.example).strip(), "    ") + "\n"
        for module in MODULES
        if module.name not in ELSEWHERE
    )
    return "tasks:\n" + FIRST + "".join(tasks)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("every") / "lab"
    with rehearsal(folder, "--macs", "2") as made:
        (folder / "every.yaml").write_text(playbook())
        yield made


@pytest.fixture(scope="module")
def before(stage):
    return portrait(stage, "studio-1")


def run(stage, *options, exit_code=0):
    return stage.must("run", str(stage.folder / "every.yaml"), "--mac", "studio-1", "--json", *options, exit_code=exit_code).json["macs"][0]


def test_every_verb_finds_something_to_do(stage, before):
    planned = run(stage, "--dry-run", exit_code=1)

    assert {change["task"] for change in planned["changes"]} >= {module.name for module in MODULES} - ELSEWHERE
    assert differences(portrait(stage, "studio-1"), before) == {}


def test_what_is_done_is_found_as_wanted(stage, before):
    done = run(stage, "--yes")

    assert (done["outcome"], done["error"]) == ("changed", None)
    assert run(stage, "--dry-run")["changes"] == []


def test_what_somebody_changes_is_told_by_its_verb(stage, before):
    stage.must("exec", "--mac", "studio-1", "--sudo", "--", "scutil", "--set", "HostName", "other")

    told = run(stage, "--dry-run", exit_code=1)

    assert [change["task"] for change in told["changes"]] == ["hostname"]


def test_taken_back_the_mac_is_as_it_was_byte_for_byte(stage, before):
    stage.must("unprovision", "--mac", "studio-1", "--yes")

    assert differences(portrait(stage, "studio-1"), before) == {}
