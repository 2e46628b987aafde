import json
import re

import pytest

from macfleet.core.errors import RequestError
from macfleet.worker.config import load_config

CONFIG = {
    "service": "chat",
    "mac": "studio-1",
    "rank": 0,
    "world": 2,
    "model_dir": "/opt/macfleet/models/smollm2-135m",
    "first_layer": 0,
    "last_layer": 15,
    "control": "tcp://10.0.0.1:8081",
    "public_key": "p" * 40,
    "secret_key": "s" * 40,
    "gateway_public_key": "g" * 40,
    "heartbeat_file": "/opt/macfleet/services/chat/heartbeat.json",
}


def test_a_config_is_loaded_and_its_repr_hides_the_secret_key(tmp_path):
    file = tmp_path / "worker.json"
    file.write_text(json.dumps(CONFIG))

    config = load_config(file)

    assert (config.is_first, config.is_last, config.kind) == (True, False, "tcp")
    assert "s" * 40 not in repr(config)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rank": 2}, "rank 2 of 2"),
        ({"last_layer": 0}, "last_layer"),
        ({"first_layer": 15, "last_layer": 15}, "layers 15..15 are none"),
        ({"first_layer": 3}, "layer 0 belongs to rank 0"),
        ({"kind": "ring"}, "a ring needs `ring`"),
        ({"kind": "jaccl-ring"}, "jaccl-ring needs `jaccl`"),
        ({"public_key": "short"}, "public_key"),
        ({"hostname": "x"}, "hostname"),
    ],
)
def test_a_wrong_config_is_refused_with_its_file_and_key(tmp_path, change, said):
    file = tmp_path / "worker.json"
    file.write_text(json.dumps({**CONFIG, **change}))

    with pytest.raises(RequestError, match=re.escape(str(file)) + ".*" + re.escape(said)):
        load_config(file)


def test_a_missing_config_is_an_error_and_not_a_traceback(tmp_path):
    with pytest.raises(RequestError, match="No such file"):
        load_config(tmp_path / "worker.json")
