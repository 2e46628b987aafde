"""A family is proved from the config of a full-size model, and one that does not survive a split is found out."""

import json
import subprocess
import sys

import pytest

from macfleet.core.errors import MacfleetError
from macfleet.models.families import UNBATCHED
from macfleet.worker.mlx.prove import NotProved, prove
from tests.worker.full_configs import AS_TRANSFORMERS_SHIPS, RING_MINI, full_config
from tests.worker.tiny import LLAMA

QUICK = ("deepseek_v3",)
FAMILIES = [pytest.param(family, marks=() if family in QUICK else pytest.mark.rehearsal) for family in AS_TRANSFORMERS_SHIPS]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_proven_family_is_proved_again_from_a_config_of_full_size(family):
    proof = prove(full_config(family))

    assert (proof.family, proof.stages) == (family, (2, 3))
    assert proof.is_batched == (family not in UNBATCHED)


def test_a_family_that_goes_wrong_without_an_error_is_found_out():
    with pytest.raises(NotProved, match=r"^layers 0-0 \| 1-9, token 0: the split says \d+, the whole \d+$"):
        prove(RING_MINI)


def test_a_family_that_mlx_lm_does_not_know_is_told_so():
    with pytest.raises(NotProved, match="mlx-lm runs no small model of this config: Model type some_model not supported"):
        prove(LLAMA | {"model_type": "some_model"})


def test_a_family_that_cannot_be_split_at_all_is_told_where_it_keeps_its_layers(tmp_path):
    with pytest.raises(
        MacfleetError, match=r"mlx_lm\.models\.gemma4_text keeps its layers where this version of macfleet does not find them"
    ):
        prove(full_config("gemma4_text"))


def ask(directory, *options):
    return subprocess.run([sys.executable, "-m", "macfleet.worker.prove", directory, *options], capture_output=True, text=True)


def test_the_command_answers_in_json_and_with_its_exit_status(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    proved = ask(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"model_type": "some_model"}))
    not_proved = ask(tmp_path)
    (tmp_path / "config.json").write_text("{")
    wrong = ask(tmp_path)

    assert (proved.returncode, not_proved.returncode, wrong.returncode) == (0, 1, 2)
    said = json.loads(proved.stdout)
    assert (said["is_proved"], said["family"], said["layers"], said["stages"], said["why_alone"]) == (True, "llama", 5, [2, 3], "")
    assert json.loads(not_proved.stdout)["reason"].endswith("Model type some_model not supported.")
    assert "is not JSON" in wrong.stdout
