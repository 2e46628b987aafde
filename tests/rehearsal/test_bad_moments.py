"""Two operators at once, and Ctrl-C at any moment. One fleet of two Macs, from its first provision to the end of a service.

The stories follow each other: each begins with what the one before left, which is the point of them.
"""

import json
import os
import signal
import socket
import subprocess

import httpx
import pytest
import yaml

from tests.rehearsal.served import eventually
from tests.rehearsal.stage import rehearsal
from tests.rehearsal.under_way import under_way

pytestmark = pytest.mark.rehearsal

ONE, TWO = "studio-1", "studio-2"
MODEL, SERVICE = "smollm2-135m", "chat"
DEPLOY = ("deploy", "--model", MODEL, "--name", SERVICE, "--macs", ONE, "--yes")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with rehearsal(tmp_path_factory.mktemp("fleet"), "--macs", "2") as made:
        made.must("lab", "model", MODEL)
        yield made


def below(stage, mac, path):
    return stage.folder / "macs" / mac / "root" / path


def lock_of(stage, mac):
    return below(stage, mac, "var/db/macfleet/lock/owner.json")


def nobody_holds_a_lock(stage):
    return {mac["outcome"] for mac in stage.must("lock", "show", "--json").json["macs"]} == {"free"}


def services(stage):
    return stage.type("status", "--json").json["services"]


def jobs(stage):
    """The launchd jobs of the service, on both Macs."""
    macs = stage.must("lab", "status", "--json").json["macs"]
    return [job["label"] for mac in macs for job in mac["jobs"] if f".{SERVICE}." in job["label"]]


def running_with(words):
    """How many processes of this machine, which is every Mac of the rehearsal, have this command line."""
    lines = subprocess.run(["ps", "-axww", "-o", "command="], capture_output=True, text=True, check=True).stdout.splitlines()
    return lines.count(words)


def interrupted(ended, *said):
    """It ended with 130 and one error that says all of this, and nothing of its process group is left."""
    assert ended.exit_code == 130, str(ended)
    assert ended.stderr.count("error: ") == 1, str(ended)
    assert "Traceback" not in ended.stderr
    assert [words for words in said if words not in ended.stderr] == [], str(ended)


def is_gone(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def gateway_port(stage):
    return yaml.safe_load(stage.inventory.read_text())["fleet"]["settings"]["gateway"]["port"]


def test_ctrl_c_while_a_mac_is_waited_for(stage):
    stage.must("lab", "fault", "asleep", TWO)

    with under_way(stage, "verify") as verifying:
        verifying.until_it_says("waiting for ")
        ended = verifying.press_ctrl_c()
        assert is_gone(verifying.pid)

    interrupted(ended, "error: interrupted\n", "run the same command again")
    stage.must("lab", "heal")
    assert stage.must("exec", "--", "true")


def test_ctrl_c_stops_a_command_on_every_mac(stage):
    seconds = str(100_000 + os.getpid())  # nobody else's sleep
    with under_way(stage, "exec", "--timeout", "10 min", "--", "sleep", seconds) as running:
        running.until(lambda: running_with(f"sleep {seconds}") == 2, "it sleeps on both")
        ended = running.press_ctrl_c()

    interrupted(ended)
    eventually(lambda: running_with(f"sleep {seconds}") == 0, "nothing of it is left on the Macs", 30)


def test_a_second_operator_is_told_who_holds_the_fleet_and_how_to_break_it(stage):
    with under_way(stage, "provision", "--yes") as first:
        first.until(lambda: lock_of(stage, ONE).exists() and lock_of(stage, TWO).exists(), "it holds both Macs")
        first.signal(signal.SIGSTOP)  # a long run, as seen by the second operator
        second = stage.must("provision", "--yes", exit_code=3)
        held = stage.must("lock", "show", "--json").json["macs"]
        first.signal(signal.SIGKILL)
        first.end()
    broken = stage.must("lock", "break", "--yes")

    assert f"error: {ONE}: somebody else is changing this Mac\n" in second.stderr
    assert f"(process {first.pid}): provision, since " in second.stderr
    assert "  nothing was changed\n" in second.stderr
    assert "`macfleet lock break`" in second.stderr
    assert [(mac["outcome"], mac["pid"], mac["purpose"]) for mac in held] == [("held", first.pid, "provision")] * 2
    assert broken.stdout.count("broken") == 2
    assert nobody_holds_a_lock(stage)


def test_ctrl_c_while_macs_are_provisioned_says_how_far_each_came_and_resume_goes_on_there(stage):
    runtimes = below(stage, ONE, "opt/macfleet/runtimes")

    with under_way(stage, "provision", "--yes") as provisioning:
        provisioning.until(lambda: runtimes.exists() and any(runtimes.iterdir()), "the runtime is being installed")
        ended = provisioning.press_ctrl_c()

    interrupted(ended, "error: provision was interrupted\n", f"  {ONE}: ", " changes made", f"  {TWO}: ", "it goes on with what is left")
    assert nobody_holds_a_lock(stage)
    resumed = stage.must("provision", "--resume", "--yes", "--json").json["macs"]
    assert {mac["outcome"] for mac in resumed} == {"changed"}
    assert "pmset sleep" not in {change["what"] for mac in resumed for change in mac["changes"]}
    assert "no run stands" in stage.must("provision", "--resume", "--yes", exit_code=2).stderr
    assert stage.must("provision", "--dry-run", "--json").json["summary"]["changes"] == 0


def test_a_port_that_somebody_else_has_is_said_before_anything_is_started(stage):
    port = gateway_port(stage)

    with socket.create_server(("127.0.0.1", port)):
        ended = stage.must(*DEPLOY, exit_code=3)

    assert f"error: port {port} of {ONE} is taken, the gateway of {SERVICE} needs it\n" in ended.stderr
    assert "nothing was started" in ended.stderr
    assert (services(stage), jobs(stage)) == ([], [])
    assert nobody_holds_a_lock(stage)


def test_a_full_disk_is_said_before_a_byte_of_the_weights_is_sent(stage):
    roomy = stage.folder / "roomy.yaml"
    roomy.write_text(stage.inventory.read_text().replace("minimum_free_disk: 1 GiB", "minimum_free_disk: 50 MiB"))
    stage.must("lab", "fault", "disk-full", ONE)

    checked = stage.must(*DEPLOY, exit_code=1)
    counted = stage.must(*DEPLOY, "--inventory", str(roomy), exit_code=3)
    stage.must("lab", "heal")

    assert f"{ONE}: disk-space: 100 MiB of " in checked.stderr
    assert "nothing was changed" in checked.stderr
    assert f"error: {ONE} has 100 MiB free, its stage needs " in counted.stderr
    assert "nothing was sent to it" in counted.stderr
    assert (services(stage), jobs(stage)) == ([], [])


def test_ctrl_c_while_weights_are_sent_leaves_no_half_of_them(stage):
    with under_way(stage, *DEPLOY) as deploying:
        models = below(stage, ONE, f"opt/macfleet/models/{MODEL}")
        deploying.until(lambda: any(models.glob("stage-*.macfleet-new")), "the weights come in")
        ended = deploying.press_ctrl_c()

    interrupted(ended, f"error: the deployment of {SERVICE} was interrupted\n", f"no job of the new deployment was started on {ONE}")
    assert list(models.glob("*.macfleet-new")) == []
    assert (services(stage), jobs(stage)) == ([], [])
    assert nobody_holds_a_lock(stage)


def test_ctrl_c_while_a_service_starts_leaves_nothing_running_and_the_same_command_goes_on(stage):
    with under_way(stage, *DEPLOY) as deploying:
        deploying.until(lambda: jobs(stage), "its jobs are started")
        ended = deploying.press_ctrl_c(deadline_s=120)

    interrupted(
        ended, f"error: the deployment of {SERVICE} was interrupted\n", f"its jobs were booted out and its secrets removed on {ONE}"
    )
    assert (services(stage), jobs(stage)) == ([], [])
    assert list(below(stage, ONE, "opt/macfleet/services").rglob("worker.json")) == []
    assert nobody_holds_a_lock(stage)

    assert f"{SERVICE} is ready on {ONE}" in stage.must(*DEPLOY).stdout


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"model": ', "JSON"),
        (json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "?"}], "max_tokens": -1}).encode(), "max_tokens"),
        (json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "word " * 9000}]}).encode(), "maximum context length"),
    ],
    ids=["bad JSON", "negative max_tokens", "a prompt longer than the context"],
)
def test_a_wrong_http_request_gets_400_and_the_service_answers_the_next_one(stage, body, said):
    url = f"http://127.0.0.1:{gateway_port(stage)}"

    refused = httpx.post(f"{url}/v1/chat/completions", content=body, timeout=60, trust_env=False)

    assert refused.status_code == 400
    assert said in refused.json()["error"]["message"]
    assert httpx.get(f"{url}/health", timeout=10, trust_env=False).json()["state"] == "ready"


def test_a_wrong_question_to_a_service_exits_2(stage):
    unknown = stage.must("chat", "chatt", "hello", exit_code=2)
    too_long = stage.must("chat", SERVICE, "word " * 9000, exit_code=2)

    assert f'error: there is no service "chatt"\n  hint: did you mean "{SERVICE}"?\n' in unknown.stderr
    assert "error: the gateway does not take the question: " in too_long.stderr
    assert "maximum context length" in too_long.stderr


def test_ctrl_c_in_an_answer_frees_the_service_for_the_next_question(stage):
    health = f"http://127.0.0.1:{gateway_port(stage)}/health"

    with under_way(stage, "chat", SERVICE, "Write down all numbers from one to one thousand.", "--max-tokens", "4000") as asking:
        asking.until(lambda: asking.said().stdout, "the answer begins")
        ended = asking.press_ctrl_c(deadline_s=20)

    interrupted(ended, "error: interrupted\n")
    eventually(lambda: httpx.get(health, timeout=10, trust_env=False).json()["running"] == 0, "the workers stop writing", 30)
    assert stage.must("chat", SERVICE, "What is the capital of France?", "--max-tokens", "12", "--temperature", "0").stdout.strip()


def test_ctrl_c_in_a_roll_says_where_every_mac_stands_and_resume_goes_on(stage):
    with under_way(stage, "rolling-reboot", "--yes", "--mac", TWO) as rolling:
        rolling.until_it_says(f"{TWO}: restarting")
        ended = rolling.press_ctrl_c()
    again = stage.must("rolling-reboot", "--yes", exit_code=2)

    interrupted(ended, "error: the rolling reboot was interrupted\n", f"  {TWO} ", "restart", "--resume")
    assert f"a rolling reboot is under way: it stands at {TWO}" in again.stderr
    assert stage.must("rolling-reboot", "--resume", "--yes")
    assert nobody_holds_a_lock(stage)
    assert stage.must("verify")


def test_ctrl_c_while_a_service_stops_and_stopping_it_twice(stage):
    with under_way(stage, "stop", SERVICE, "--yes") as stopping:
        stopping.until_it_says("finishes its answers")
        ended = stopping.press_ctrl_c()
    interrupted(ended)
    assert nobody_holds_a_lock(stage)

    stage.must("stop", SERVICE, "--yes")
    twice = stage.must("stop", SERVICE, "--yes", exit_code=2)

    assert f'error: there is no service "{SERVICE}"\n' in twice.stderr
    assert (services(stage), jobs(stage)) == ([], [])
