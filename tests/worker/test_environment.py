import pytest

from macfleet.worker.config import JacclSettings, RingSettings, WorkerConfig
from macfleet.worker.environment import mlx_environment


def config(**changes):
    values = {
        "service": "chat",
        "mac": "studio-2",
        "rank": 1,
        "world": 4,
        "model_dir": "/models/m",
        "first_layer": 4,
        "last_layer": 8,
        "control": "tcp://10.0.0.1:8081",
        "public_key": "p" * 40,
        "secret_key": "s" * 40,
        "gateway_public_key": "g" * 40,
        "heartbeat_file": "/services/chat/heartbeat.json",
    }
    return WorkerConfig(**{**values, **changes})


RING = RingSettings(hostfile="/services/chat/ring.json")
JACCL = JacclSettings(devices_file="/services/chat/rdma.json", coordinator="10.0.0.1:8082")
RDMA = {"MLX_RANK": "1", "MLX_IBV_DEVICES": "/services/chat/rdma.json", "MLX_JACCL_COORDINATOR": "10.0.0.1:8082"}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, {}),
        ({"kind": "ring", "ring": RING}, {"MLX_RANK": "1", "MLX_HOSTFILE": "/services/chat/ring.json"}),
        ({"kind": "jaccl", "jaccl": JACCL}, RDMA),
        ({"kind": "jaccl-ring", "jaccl": JACCL}, {**RDMA, "MLX_JACCL_RING": "1"}),
        ({"kind": "jaccl", "jaccl": JACCL.model_copy(update={"fast_synch": True})}, {**RDMA, "MLX_METAL_FAST_SYNCH": "1"}),
        ({"kind": "ring", "ring": RING, "rank": 0, "world": 1, "first_layer": 0}, {}),
    ],
)
def test_mlx_is_told_what_the_config_means_and_nothing_else(changes, wanted):
    found = mlx_environment(config(**changes), {"HOME": "/Users/fleet"})

    assert {name: value for name, value in found.items() if name.startswith("MLX")} == wanted
    assert found["HOME"] == "/Users/fleet"


def test_a_variable_left_over_from_elsewhere_is_taken_away():
    # Its mere presence would turn a mesh into a ring, whatever its value.
    found = mlx_environment(config(kind="jaccl", jaccl=JACCL), {"MLX_JACCL_RING": "0", "JACCL_RANK": "3", "MLX_HOSTFILE": "/old"})

    assert {name: value for name, value in found.items() if "MLX" in name or "JACCL" in name} == RDMA


def test_the_operators_own_thread_count_is_kept():
    assert mlx_environment(config(), {"OPENBLAS_NUM_THREADS": "8"})["OPENBLAS_NUM_THREADS"] == "8"
    assert mlx_environment(config(), {})["OPENBLAS_NUM_THREADS"] == "1"
