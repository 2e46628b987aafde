import json
import plistlib
import subprocess
import sys
from dataclasses import replace

import pytest

from macfleet.core.command import command
from macfleet.core.errors import CommandFailed, Interrupted, MacfleetError, PlacementRefused, RequestError, ServiceFailed
from macfleet.core.fact import Facts, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.core.units import GIB
from macfleet.engines.base import worker_label
from macfleet.inventory.mac import Inventory, Mac, Service
from macfleet.inventory.settings import Interconnect, Settings
from macfleet.macos import ifconfig
from macfleet.macos.runtime import Broken, Runtime, runtime
from macfleet.models.catalog import find
from macfleet.placement.links import Links
from macfleet.serving.account import ACCOUNT, Account
from macfleet.serving.choose import choose_service, label_of
from macfleet.serving.deploy import deploy
from macfleet.serving.gang import GangPlan, lan_address, plan_gang, plan_offline
from macfleet.serving.model import load_model
from macfleet.serving.ports import Wanted, refuse_taken
from macfleet.serving.prove import NotProved
from macfleet.serving.services import parse_deployed, read_leftovers, read_services, render_deployed
from tests.serving.small_mac import SmallFleet, StubGateway
from tests.serving.test_services import deployed
from tests.serving.test_staging import CONFIG, names, safetensors

NAMES = ("studio-1", "studio-2")
SERVICE = Service("chat", "tiny", NAMES, context_tokens=128, concurrency=1, port=8080, control_port=8081)
SERVICES = "/opt/macfleet/services/chat"
INSTALLED = Runtime("0123456789ab", "3.12", "0.1.0", "l", "w")


@pytest.fixture
def stub():
    stub = StubGateway()
    yield stub
    stub.close()


@pytest.fixture
def model(tmp_path):
    directory = tmp_path / "tiny"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(CONFIG))
    (directory / "model.safetensors").write_bytes(safetensors(names()))
    return load_model("tiny", directory)


@pytest.fixture
def fleet(tmp_path, stub):
    fleet = SmallFleet(tmp_path, *NAMES)
    for mac in fleet.small.values():
        mac._python = lambda words, stdin: ""  # every port is free
    fleet.small["studio-1"].port = stub.port
    return fleet


def facts(runtime_there=INSTALLED):
    known = {
        ACCOUNT: Account("fleet", "staff", "/Users/fleet", "/usr/bin:/bin"),
        ifconfig.INTERFACES: Unknown("not asked"),
        runtime(MacPaths()): runtime_there,
    }
    return {name: Facts(known) for name in NAMES}


def plan(fleet, model):
    offline = plan_offline(fleet.inventory, SERVICE, model.card)
    return GangPlan(SERVICE, model.card, Links("tcp", NAMES, ("10.0.0.1", "10.0.0.2"), "lan"), offline.placement, {}, ())


def run(fleet, model, **options):
    return deploy(fleet, plan(fleet, model), facts(), model, services=options.pop("services", {}), **options)


def test_jobs_are_started_from_the_runtime_that_is_installed_now_and_not_from_the_link(fleet, model):
    run(fleet, model)

    plists = [plistlib.loads(data) for path, data in fleet.small["studio-1"].files.items() if path.endswith(".plist")]
    assert {plist["ProgramArguments"][0] for plist in plists} == {"/opt/macfleet/runtimes/0123456789ab/bin/python"}


@pytest.mark.parametrize(
    ("there", "why"), [(None, "none is installed"), (Broken("bad interpreter"), "bad interpreter"), (Unknown("not asked"), "not asked")]
)
def test_without_a_runtime_there_is_nothing_to_start_jobs_from(fleet, model, there, why):
    with pytest.raises(ServiceFailed, match=f"there is no runtime on studio-1 to start jobs from: {why}"):
        deploy(fleet, plan(fleet, model), facts(there), model, services={})


def test_a_deployed_service_runs_is_proved_and_is_known_to_its_head(fleet, model, stub):
    deployment = run(fleet, model)

    assert deployment.passed.kind == "same-twice"
    known = parse_deployed(fleet.small["studio-1"].files[f"{SERVICES}/service.json"].decode())[0]
    assert (known.canary_answer, known.macs) == ("four five six", NAMES)
    assert all(mac.jobs[worker_label("chat")]["pid"] for mac in fleet.small.values())
    assert list(fleet.small["studio-2"].jobs) == [worker_label("chat")]
    assert fleet.small["studio-2"].modes[f"{SERVICES}/worker.json"] == "600"


def test_what_the_time_went_into_is_told_and_is_all_of_it(fleet, model, stub):
    stub.workers = [
        {"mac": "studio-1", "rank": 0, "state": "ready", "phase_s": {"gate": 0.1, "import": 1.0, "load": 0.5}},
        {"mac": "studio-2", "rank": 1, "state": "ready", "phase_s": {"gate": 0.1, "import": 1.0, "load": 2.5}},
    ]

    deployment = run(fleet, model)

    assert sum(deployment.phase_s.values()) == pytest.approx(deployment.took_s)
    assert {"stage", "start", "load", "link", "canary"} <= set(deployment.phase_s)
    assert [(worker.mac, worker.load_s) for worker in deployment.workers] == [("studio-1", 0.6), ("studio-2", 2.6)]


def test_a_dead_mac_of_the_older_gang_does_not_keep_the_service_from_being_deployed_without_it(tmp_path, fleet, model, stub):
    third = SmallFleet(tmp_path, *NAMES, "studio-3")
    third.small.update(fleet.small)
    third.small["studio-3"].is_up = False
    for mac in ("studio-3", "studio-1"):
        third.small[mac].files[f"{SERVICES}/service.json"] = render_deployed(deployed("chat", ("studio-3", "studio-1"))).encode()
    said = []

    run(third, model, services=read_services(third)[0], say=said.append)

    assert any("studio-3 is away and keeps its part" in line and "macfleet stop chat --leftovers" in line for line in said)
    third.small["studio-3"].is_up = True
    third.forget(third.inventory.mac("studio-3"))
    services, report = read_services(third)
    assert services["chat"].macs == NAMES
    assert [left.mac for left in read_leftovers(services, report)] == ["studio-3"]


def test_a_mac_of_the_new_gang_on_which_the_older_deployment_does_not_end_keeps_the_new_one_from_starting(fleet, model):
    run(fleet, model)

    def dies_before_the_end(text):
        if text.endswith("is ended"):
            fleet.small["studio-2"].is_up = False

    with pytest.raises(ServiceFailed, match="the older deployment of chat could not be ended on studio-2"):
        run(fleet, model, services=read_services(fleet)[0], say=dies_before_the_end)


def test_every_deployment_has_new_keys_and_each_worker_its_own(fleet, model):
    run(fleet, model)
    first = [json.loads(mac.files[f"{SERVICES}/worker.json"])["secret_key"] for mac in fleet.small.values()]
    run(fleet, model)
    second = [json.loads(mac.files[f"{SERVICES}/worker.json"])["secret_key"] for mac in fleet.small.values()]

    assert len({*first, *second}) == 4


def unproven(tmp_path):
    directory = tmp_path / "strange"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(CONFIG | {"model_type": "strange"}))
    (directory / "model.safetensors").write_bytes(safetensors(names()))
    return load_model("strange", directory)


def answers(head, **said):
    """What the head's own Python answers, and what it was asked."""
    asked = []

    def python(words, stdin):
        if "macfleet.worker.prove" not in words:
            return ""  # every port is free
        asked.append((words, head.files.get(f"{words[3]}/config.json")))
        line = json.dumps({"event": "said", "family": "strange", "mlx_lm": "0.32.2"} | said)
        return line if said.get("is_proved", True) else Result(command("python"), 1, stdout=f"{line}\n")

    head._python = python
    return asked


def test_a_family_that_no_test_proves_is_proved_on_the_head_before_its_weights_are_sent(tmp_path, fleet):
    model, head = unproven(tmp_path), fleet.small["studio-1"]
    asked = answers(head, is_proved=True, layers=6, stages=[2, 3], why_alone="mlx-lm cannot merge its caches", took_s=3.0)
    said = []

    run(fleet, model, say=said.append)

    ((words, config),) = asked
    assert words == ["-I", "-m", "macfleet.worker.prove", "/opt/macfleet/models/.prove-strange"]
    assert json.loads(config)["model_type"] == "strange"
    assert not [path for path in head.files if ".prove-" in path]
    assert any('the family "strange" is proved on studio-1 with mlx-lm 0.32.2 in 3 s' in line for line in said)
    proved = next(number for number, line in enumerate(said) if "is proved" in line)
    assert proved < next(number for number, line in enumerate(said) if line.startswith("staging"))
    for mac in fleet.small.values():
        config = json.loads(mac.files[f"{SERVICES}/worker.json"])
        assert (config["is_proved"], config["batched"]) == (True, False)


def test_a_family_that_does_not_survive_its_split_stops_the_deployment_with_the_reason(tmp_path, fleet):
    model, head = unproven(tmp_path), fleet.small["studio-1"]
    answers(head, is_proved=False, reason="layers 0-0 | 1-9, token 0: the split says 81, the whole 18")

    with pytest.raises(NotProved, match='the proof of the family "strange" failed on studio-1: layers 0-0') as failed:
        run(fleet, model)

    assert failed.value.exit_code == 1
    assert "no weight was sent, no job was started" in failed.value.truths
    assert all(mac.files == {} and mac.jobs == {} for mac in fleet.small.values())


def test_a_proof_that_does_not_come_to_its_end_is_none(tmp_path, fleet):
    fleet.small["studio-1"]._python = lambda words, stdin: (1, "ModuleNotFoundError: no mlx") if "-m" in words else ""

    with pytest.raises(CommandFailed, match=r"nobody knows whether strange may be split: .*: ModuleNotFoundError: no mlx"):
        run(fleet, unproven(tmp_path))


def test_a_proven_family_is_not_tried_again(fleet, model):
    asked = answers(fleet.small["studio-1"])

    run(fleet, model)

    assert asked == []
    assert json.loads(fleet.small["studio-1"].files[f"{SERVICES}/worker.json"])["batched"] is None


def test_a_failed_canary_leaves_nothing_running_and_says_what_stays(fleet, model, stub):
    answers = iter(["one", "two"])
    stub.text = lambda: next(answers)

    with pytest.raises(ServiceFailed, match="chat was not deployed: the canary failed") as failed:
        run(fleet, model)

    assert any("booted out and its secrets removed on studio-1, studio-2" in truth for truth in failed.value.truths)
    for mac in fleet.small.values():
        assert mac.jobs == {}
        assert not [path for path in mac.files if path.endswith((".plist", "worker.json", "gateway.json", "service.json"))]
        assert [path for path in mac.files if "stage-" in path]


def test_a_worker_that_serves_other_weights_than_were_staged_is_not_ready(fleet, model, stub):
    stub.workers = [{"mac": "studio-2", "state": "ready", "weights_sha256": "f" * 64}]

    with pytest.raises(ServiceFailed, match="the worker on studio-2 serves other weights than were staged there") as failed:
        run(fleet, model)

    assert f"served {'f' * 64}" in failed.value.truths


def test_a_worker_that_keeps_ending_ends_the_waiting_with_its_last_words(fleet, model, stub):
    stub.state = "waiting"
    bad = fleet.small["studio-2"]
    bad.files["/var/log/macfleet/chat.worker.log"] = b"starting\nWeightsBroken: layer 3 is missing\n"
    load = bad._load
    bad._load = lambda label: (load(label), bad.jobs[label].update(runs=3, last_exit="1"))

    with pytest.raises(ServiceFailed, match="ended with 1 and was started 3 times") as failed:
        run(fleet, model)

    assert "studio-2 worker: WeightsBroken: layer 3 is missing" in failed.value.truths


def test_a_gang_that_is_not_ready_at_its_deadline_is_cleared(fleet, model, stub):
    stub.state = "waiting"

    with pytest.raises(ServiceFailed, match=r"chat was not ready within 5\.0 s") as failed:
        run(fleet, model, deadline_s=5.0)

    assert "the gateway says waiting" in failed.value.truths
    assert fleet.small["studio-1"].jobs == {}


def test_ctrl_c_while_it_starts_leaves_nothing_running(fleet, model, stub):
    def interrupt(text):
        if "asking the canary" in text:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as interrupted:
        run(fleet, model, say=interrupt)

    assert all(mac.jobs == {} for mac in fleet.small.values())
    assert interrupted.value.exit_code == 130
    assert any("booted out and its secrets removed on studio-1, studio-2" in truth for truth in interrupted.value.truths)
    assert run(fleet, model).passed


def test_a_second_ctrl_c_leaves_what_stop_ends(fleet, model):
    def interrupt(text):
        if "asking the canary" in text or "finishes its answers" in text:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as interrupted:
        run(fleet, model, say=interrupt)

    assert interrupted.value.truths[-1].endswith("clearing them was interrupted; `macfleet stop chat` ends them")
    assert set(read_services(fleet)[0]) == {"chat"}


def test_ctrl_c_while_weights_are_sent_leaves_the_older_deployment_alone(fleet, model):
    services = {"chat": run(fleet, model).deployed}
    running = {name: dict(mac.jobs) for name, mac in fleet.small.items()}

    def interrupt(text):
        if text.startswith("staging"):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as interrupted:
        run(fleet, model, services=services, say=interrupt)

    assert {name: mac.jobs for name, mac in fleet.small.items()} == running
    assert interrupted.value.truths[0] == "no job of the new deployment was started on studio-1, studio-2"
    assert interrupted.value.truths[1].endswith("still answers")


def test_ctrl_c_while_the_older_deployment_is_ended_says_so(fleet, model):
    services = {"chat": run(fleet, model).deployed}

    def interrupt(text):
        if "finishes its answers" in text:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as interrupted:
        run(fleet, model, services=services, say=interrupt)

    assert interrupted.value.truths[1].endswith("is ended, or half ended")
    assert run(fleet, model, services=services).passed


def test_a_mac_that_cannot_be_cleared_is_named(fleet, model, stub):
    def lose(text):
        if "asking the canary" in text:
            stub.count = 3
            fleet.small["studio-2"].is_up = False

    with pytest.raises(ServiceFailed) as failed:
        run(fleet, model, say=lose)

    assert any(truth.startswith("studio-2 could not be cleared") for truth in failed.value.truths)
    assert f"{SERVICES}/service.json" in fleet.small["studio-1"].files  # so that `stop` still knows it


def test_a_redeployment_ends_the_older_one_first_and_prunes_its_stages(fleet, model):
    run(fleet, model)
    old = parse_deployed(fleet.small["studio-1"].files[f"{SERVICES}/service.json"].decode())[0]
    fleet.small["studio-2"].files["/opt/macfleet/models/tiny/stage-1-4.safetensors"] = b"older"
    said = []

    run(fleet, model, services={"chat": old}, say=said.append)

    assert any("the deployment of chat" in text and "is ended" in text for text in said)
    assert "/opt/macfleet/models/tiny/stage-1-4.safetensors" not in fleet.small["studio-2"].files


def test_a_taken_port_is_said_before_anything_is_staged(fleet, model):
    fleet.small["studio-1"]._python = lambda words, stdin: (48, "Address already in use") if words[-1] == "8080" else ""

    with pytest.raises(ServiceFailed, match="port 8080 of studio-1 is taken, the gateway of chat needs it"):
        run(fleet, model)

    assert fleet.small["studio-1"].files == {}


def test_the_ports_of_the_older_deployment_are_its_own(fleet, model):
    run(fleet, model)
    old = parse_deployed(fleet.small["studio-1"].files[f"{SERVICES}/service.json"].decode())[0]
    fleet.small["studio-1"]._python = lambda words, stdin: (48, "Address already in use")

    assert run(fleet, model, services={"chat": old}).passed


class RealPython:
    """Runs the question here: the kernel's answer is the same on every Unix."""

    def run(self, commands):
        done = [subprocess.run([sys.executable, *command.argv[1:]], capture_output=True, text=True) for command in commands]
        return [Result(command, one.returncode, stderr=one.stderr) for command, one in zip(commands, done, strict=True)]


def test_the_kernel_is_asked_whether_a_port_is_free(stub):
    mac = Mac("studio-1", "127.0.0.1", "x", 1)

    refuse_taken(mac, RealPython(), [Wanted("127.0.0.1", 0, "anything")])
    with pytest.raises(ServiceFailed, match=f"port {stub.port} of studio-1 is taken"):
        refuse_taken(mac, RealPython(), [Wanted("127.0.0.1", stub.port, "the gateway")])
    with pytest.raises(ServiceFailed, match=r"has no address 192\.0\.2\.1"):
        refuse_taken(mac, RealPython(), [Wanted("192.0.2.1", 8080, "the gateway")])


def inventory(tmp_path, *services, settings=None):
    macs = tuple(Mac(name, f"10.0.0.{n}", "Mac15,14", 512 * GIB, settings=settings or Settings()) for n, name in enumerate(NAMES, 1))
    return Inventory(tmp_path / "inventory.yaml", "test", macs, services)


def test_a_service_of_the_inventory_is_meant_by_its_model_or_its_name(tmp_path):
    known = inventory(tmp_path, SERVICE)

    assert choose_service(known, "tiny", None, ()) == SERVICE
    assert choose_service(known, "other", "chat", ()).model == "other"
    assert choose_service(known, "tiny", None, [known.mac("studio-2")]).macs == ("studio-2",)


def test_a_service_nobody_wrote_down_takes_all_macs_and_a_name_from_its_model(tmp_path):
    service = choose_service(inventory(tmp_path), "DeepSeek-V3.1", None, ())

    assert (service.name, service.macs, service.port, service.control_port) == ("deepseek-v3-1", NAMES, 8080, 8081)
    assert label_of("mlx-community/Qwen3 0.6B") == "mlx-community-qwen3-0-6b"


def test_a_new_service_may_be_given_a_port_and_has_no_longer_context_than_its_model(tmp_path):
    service = choose_service(inventory(tmp_path), "tiny", "second", (), port=9000, most_context_tokens=128)

    assert (service.port, service.control_port, service.context_tokens) == (9000, 9001, 128)


def test_a_name_that_launchd_would_not_take_is_refused_with_one_it_would(tmp_path):
    with pytest.raises(RequestError, match='"My Chat" cannot be') as refused:
        choose_service(inventory(tmp_path), "tiny", "My Chat", ())

    assert '"my-chat"' in refused.value.hint


def test_an_open_port_without_a_key_is_said(fleet, model):
    wide = replace(plan(fleet, model), service=replace(SERVICE, listen="0.0.0.0"))

    assert wide.warnings() == ("chat listens on 0.0.0.0 without an api_key: whoever reaches the port may use it",)
    assert plan(fleet, model).warnings() == ()


def test_a_dry_run_plans_with_the_inventorys_word_where_a_mac_does_not_answer(tmp_path):
    fleet = SmallFleet(tmp_path, *NAMES)
    for mac in fleet.small.values():
        mac.is_up = False
    report = fleet.read(lambda mac: [ACCOUNT])
    service = Service("big", "deepseek-v3", NAMES)

    planned = plan_gang(fleet.inventory, service, find("deepseek-v3"), report, assume=True)

    assert planned.assumed == NAMES
    assert planned.links is None
    assert sum(stage.layers for stage in planned.placement.stages) == 61
    with pytest.raises(ServiceFailed, match="big was not deployed: studio-1, studio-2 could not be read"):
        plan_gang(fleet.inventory, service, find("deepseek-v3"), report)


def test_a_wired_limit_of_the_inventory_counts_where_nobody_was_asked(tmp_path):
    known = inventory(tmp_path, settings=Settings(wired_limit="100 GiB", interconnect=Interconnect(over="lan")))

    with pytest.raises(PlacementRefused) as refused:
        plan_offline(known, Service("big", "deepseek-v3", NAMES), find("deepseek-v3"))

    assert "92 GiB (92% of 100 GiB, its wired limit)" in refused.value.truths[0]


def interfaces(address):
    text = f"en0: flags=8863<UP,BROADCAST> mtu 1500\n\tinet {address} netmask 0xffffff00 broadcast 10.0.0.255\n"
    return Facts({ifconfig.INTERFACES: ifconfig.parse_ifconfig(text)})


def test_a_worker_listens_only_at_an_address_of_its_own_mac():
    mac = Mac("studio-1", "10.0.0.1", "x", 1)

    assert lan_address(mac, interfaces("10.0.0.1")) == "10.0.0.1"
    with pytest.raises(MacfleetError, match=r"no interface with the address 10\.0\.0\.1"):
        lan_address(mac, interfaces("10.9.9.9"))
