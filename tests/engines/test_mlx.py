import json
import plistlib
from dataclasses import replace
from pathlib import Path

import pytest

from macfleet.core.data import data_path
from macfleet.core.secret import Secret
from macfleet.core.units import GIB
from macfleet.engines.base import ApiKeys, ClientKey, Gang, KeyPair, Seat
from macfleet.engines.mlx import MlxEngine, link_ports
from macfleet.gateway.config import GatewayConfig
from macfleet.inventory.mac import Mac, Service
from macfleet.inventory.settings import Interconnect, Settings
from macfleet.models.kv import KvQuantization
from macfleet.placement.links import Links
from macfleet.placement.place import Placement, Stage
from macfleet.worker.config import WorkerConfig

NAMES = ("studio-1", "studio-2", "studio-3")
TEMPLATES = {path.name: path.read_text() for path in data_path("templates").glob("*.j2")}


def keys(letter):
    return KeyPair(letter * 40, Secret(letter.upper() * 40))


def gang(kind="tcp", *, devices=(), root="/", settings=None):
    macs = [Mac(name, f"10.0.0.{n}", "Mac15,14", 512 * GIB, root=root, settings=settings or Settings()) for n, name in enumerate(NAMES, 1)]
    stages = tuple(Stage(name, n, 10 * n, 10 * n + 10, 80 * GIB, GIB, 2 * GIB, 448 * GIB) for n, name in enumerate(NAMES))
    seats = tuple(
        Seat(mac, "fleet", "staff", "/Users/fleet", "/usr/bin:/bin", mac.paths.python_of("0123456789ab"), keys("abc"[n]))
        for n, mac in enumerate(macs)
    )
    return Gang(
        service=Service("chat", "smollm2-135m", NAMES, 4096, 2, port=8080, control_port=8081),
        placement=Placement("smollm2-135m", 30, 4096, 2, stages),
        links=Links(kind, NAMES, tuple(mac.address for mac in macs), "", devices),
        seats=seats,
        gateway_keys=keys("g"),
        control_address="10.0.0.1",
        model_dir_name="smollm2-135m",
        api_keys=ApiKeys(Secret("sk-very-secret"), (ClientKey("red", Secret("sk-red-secret"), 4),)),
    )


def jobs(wanted):
    return MlxEngine(TEMPLATES).jobs(wanted)


def config_of(job):
    return job.files[0].content.reveal()


def test_the_workers_keep_their_caches_as_the_placement_has_counted_them():
    wide = gang()
    narrow = replace(wide, placement=replace(wide.placement, context_tokens=1234, kv=KvQuantization(4, 32)))

    configs = [WorkerConfig.model_validate_json(config_of(job)) for job in jobs(narrow)[:-1]]

    assert {(config.kv.bits, config.kv.group_size, config.context_tokens) for config in configs} == {(4, 32, 1234)}
    assert GatewayConfig.model_validate_json(config_of(jobs(narrow)[-1])).context_tokens == 1234
    assert WorkerConfig.model_validate_json(config_of(jobs(wide)[0])).kv is None


def test_every_worker_gets_a_config_that_the_worker_understands():
    workers = jobs(gang())[:-1]

    configs = [WorkerConfig.model_validate_json(config_of(job)) for job in workers]
    assert [(config.rank, config.first_layer, config.last_layer) for config in configs] == [(0, 0, 10), (1, 10, 20), (2, 20, 30)]
    assert {config.control for config in configs} == {"tcp://10.0.0.1:8081"}
    assert configs[1].listen_address == "10.0.0.2"
    assert configs[1].model_dir == Path("/opt/macfleet/models/smollm2-135m")
    assert configs[1].gateway_public_key == "g" * 40


def test_the_gateway_gets_a_config_that_the_gateway_understands():
    config = GatewayConfig.model_validate_json(config_of(jobs(gang())[-1]))

    assert [seat.public_key for seat in config.workers] == ["a" * 40, "b" * 40, "c" * 40]
    assert config.control_bind == "tcp://10.0.0.1:8081"
    assert config.api_key.get_secret_value() == "sk-very-secret"
    assert (config.api_keys["red"].key.get_secret_value(), config.api_keys["red"].concurrency) == ("sk-red-secret", 4)


def test_secrets_stand_only_in_files_of_mode_600():
    for job in jobs(gang()):
        assert job.files[0].mode == 0o600
        assert "sk-very-secret" not in repr(job)
        assert "sk-red-secret" not in repr(job)
        assert "AAAA" not in repr(job) + job.plist


@pytest.mark.parametrize("index", range(4))
def test_a_plist_is_what_launchd_wants(index):
    job = jobs(gang(root="/tmp/lab/studio"))[index]

    plist = plistlib.loads(job.plist.encode())
    assert plist["Label"] == job.label
    assert plist["UserName"] == "fleet"
    assert plist["EnvironmentVariables"]["HOME"] == "/Users/fleet"
    assert plist["ProgramArguments"][0] == "/tmp/lab/studio/opt/macfleet/runtimes/0123456789ab/bin/python"
    assert plist["ProgramArguments"][1:] == ["-m", f"macfleet.{job.kind}", job.files[0].path]
    assert plist["ExitTimeOut"] >= 60
    assert plist["ProcessType"] == "Interactive"
    assert plist["RunAtLoad"]
    assert plist["KeepAlive"]
    assert job.plist_path == f"/tmp/lab/studio/Library/LaunchDaemons/{job.label}.plist"


def test_labels_and_logs_carry_the_service():
    worker, *_, gateway = jobs(gang())

    assert (worker.label, gateway.label) == ("dev.macfleet.chat.worker", "dev.macfleet.chat.gateway")
    assert (worker.log, gateway.log) == ("/var/log/macfleet/chat.worker.log", "/var/log/macfleet/chat.gateway.log")


def test_a_ring_is_one_hostfile_for_all_with_an_address_and_port_per_rank():
    workers = jobs(gang("ring"))[:-1]

    assert {job.files[1].content for job in workers} == {workers[0].files[1].content}
    assert json.loads(workers[0].files[1].content) == [["10.0.0.1:8082"], ["10.0.0.2:8083"], ["10.0.0.3:8084"]]
    assert WorkerConfig.model_validate_json(config_of(workers[2])).ring.hostfile == Path("/opt/macfleet/services/chat/ring.json")
    assert link_ports(gang("ring"))["studio-3"] == ("10.0.0.3", 8084)


def test_jaccl_is_a_matrix_of_devices_and_a_coordinator_on_the_head():
    matrix = ((None, "rdma_en2", "rdma_en3"), ("rdma_en2", None, "rdma_en3"), ("rdma_en2", "rdma_en3", None))
    workers = jobs(gang("jaccl", devices=matrix))[:-1]

    assert json.loads(workers[1].files[1].content) == [list(row) for row in matrix]
    jaccl = WorkerConfig.model_validate_json(config_of(workers[1])).jaccl
    assert (jaccl.coordinator, jaccl.fast_synch) == ("10.0.0.1:8082", False)
    assert link_ports(gang("jaccl", devices=matrix)) == {"studio-1": ("10.0.0.1", 8082)}


def test_fast_synch_is_only_on_when_the_inventory_says_so():
    settings = Settings(interconnect=Interconnect(fast_synch=True))

    worker = jobs(gang("jaccl-ring", devices=((None,),), settings=settings))[0]

    assert WorkerConfig.model_validate_json(config_of(worker)).jaccl.fast_synch


def test_a_worker_waits_for_its_wired_limit_and_for_room_before_it_loads():
    wanted = gang(settings=Settings(wired_limit="448 GiB"))

    gate = WorkerConfig.model_validate_json(config_of(jobs(wanted)[0])).wired_gate

    assert gate.limit_mib == 448 * 1024
    assert gate.most_wired_bytes == 512 * GIB - 83 * GIB
    assert WorkerConfig.model_validate_json(config_of(jobs(replace(wanted, wired_gate=False))[0])).wired_gate is None
