"""Loading takes the stage's share of memory and little more, also where the whole model lies beside it."""

import gc
import itertools
import json
import shutil
import subprocess
import sys

import mlx.core as mx
import pytest

from macfleet.lab.model_files import write_model
from macfleet.worker.mlx.load import load_stage
from tests.worker.quantized import stage
from tests.worker.tiny import LLAMA

MIB = 2**20
LAYERS, WIDTH, INNER, WORDS = 10, 512, 1536, 8192
CONFIG = {
    **LLAMA, "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 8,
    "num_key_value_heads": 8, "vocab_size": WORDS, "max_position_embeddings": 512,
}  # fmt: skip
CUTS = (0, 4, 7, LAYERS)
STAGES = list(itertools.pairwise(CUTS))
# Of a process besides its share: the model's objects, and what the allocators keep.
PROCESS_BYTES = 24 * MIB


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """150 MiB in float32, of which embedding and head are one tensor of 16."""
    shapes = {"model.embed_tokens.weight": (WORDS, WIDTH), "model.norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        stem = f"model.layers.{layer}"
        shapes |= {f"{stem}.self_attn.{part}_proj.weight": (WIDTH, WIDTH) for part in "qkvo"}
        shapes |= {f"{stem}.mlp.{part}_proj.weight": (INNER, WIDTH) for part in ("gate", "up")}
        shapes |= {f"{stem}.mlp.down_proj.weight": (WIDTH, INNER)}
        shapes |= {f"{stem}.{part}_layernorm.weight": (WIDTH,) for part in ("input", "post_attention")}
    directory = tmp_path_factory.mktemp("whole")
    write_model(directory, CONFIG, {name: mx.zeros(shape) for name, shape in shapes.items()})
    return directory


@pytest.fixture(scope="module")
def staged(whole, tmp_path_factory):
    """The same, as `deploy` sends it to three Macs; here to one directory."""
    stage(whole, CUTS)
    directory = tmp_path_factory.mktemp("staged")
    shutil.copy(whole / "config.json", directory)
    for file in whole.glob("stage-*"):
        shutil.move(file, directory)
    return directory


def load(directory, first, last):
    """(what was loaded, the most that arrays took meanwhile)."""
    gc.collect()  # what an earlier test has loaded is a circle of modules
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    loaded = load_stage(directory, first, last, layers_expected_last=last == LAYERS)
    return loaded, mx.get_peak_memory() - before


@pytest.mark.parametrize("stored", ["whole", "staged"])
@pytest.mark.parametrize("cut", STAGES)
def test_the_arrays_of_a_stage_never_take_more_than_its_share_and_a_tenth(request, stored, cut):
    loaded, peak_bytes = load(request.getfixturevalue(stored), *cut)

    assert loaded.weight_bytes > 35 * MIB
    assert loaded.weight_bytes <= peak_bytes <= 1.1 * loaded.weight_bytes


# Not `ru_maxrss`: on Linux it begins with that of the process which started this one.
MEASURE = """
import json, os, subprocess, sys
from pathlib import Path
import mlx.core as mx
from macfleet.worker.mlx.engine import MlxEngine

def rss():
    asked = ["ps", "-o", "rss=", "-p", str(os.getpid())]
    return 1024 * int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)

before = rss()
engine = MlxEngine(Path(sys.argv[1]), 4, 7, is_last=False)
print(json.dumps({"share": engine.weight_bytes, "grown": rss() - before, "arrays": mx.get_peak_memory()}))
"""


def test_a_worker_s_process_grows_by_its_share_and_a_tenth(whole):
    ended = subprocess.run([sys.executable, "-c", MEASURE, str(whole)], capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert 35 * MIB < said["share"] < 45 * MIB
    assert said["share"] <= said["grown"] <= 1.1 * said["share"] + PROCESS_BYTES
    assert said["arrays"] <= 1.1 * said["share"]
