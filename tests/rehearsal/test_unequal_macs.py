"""Both models of the lab on three Macs of unequal memory: unequal stages that take as long as memory and whole layers allow.

The stories share one fleet. The last Mac has a slower memory too, and leaves its GPU so little that of SmolLM2 two layers fit.
"""

import itertools

import httpx
import pytest
import yaml

from macfleet.core.units import MIB
from macfleet.inventory.hardware import find as find_hardware
from macfleet.models.store import model_store
from macfleet.placement.memory import MacMemory, overhead_bytes
from macfleet.placement.step import StepTimes
from macfleet.serving.model import load_model
from tests.rehearsal.served import base_url, macs_of, status_of
from tests.rehearsal.stage import rehearsal

pytestmark = pytest.mark.rehearsal

SMOLLM2, DEEPSEEK = "smollm2-135m", "deepseek-v3-tiny"
HARDWARE = find_hardware("mac-studio-m4-max")
MEMORY_GIB = (128, 64, 36)  # with 36 comes the chip of 410 GB/s instead of 546
LITTLE = 2560 * MIB
CONTEXT, CONCURRENCY = 8192, 4


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    memory = ",".join(map(str, MEMORY_GIB))
    with rehearsal(tmp_path_factory.mktemp("unequal"), "--macs", "3", "--hardware", HARDWARE.alias, "--memory", memory) as made:
        written = yaml.safe_load(made.inventory.read_text())
        *_, last = written["macs"].values()
        last["settings"]["wired_limit"] = f"{LITTLE // MIB} MiB"
        made.inventory.write_text(yaml.safe_dump(written, sort_keys=False))
        for model in (SMOLLM2, DEEPSEEK):
            made.must("lab", "model", model)
        made.must("provision", "--yes")
        yield made


class Service:
    """A deployed model: its card, the plan, what `deploy` said, and what is told of it after some tokens."""

    def __init__(self, stage, model):
        words = ("deploy", "--model", model, "--name", "chat", "--macs", ",".join(macs_of(stage)))
        self.card = load_model(model, model_store(stage.environment) / model).card
        self.plan = stage.must(*words, "--dry-run", "--json").json["macs"]
        self.said = stage.must(*words, "--yes", "--json").json
        url = base_url(stage)
        body = {"model": model, "prompt": "Once upon a time", "max_tokens": 24, "temperature": 0}
        httpx.post(f"{url}/v1/completions", json=body, timeout=120, trust_env=False).raise_for_status()
        self.status = status_of(stage)["macs"]
        metrics = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text
        self.metrics = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))

    @property
    def layers(self):
        return [mac["last_layer"] - mac["first_layer"] for mac in self.plan]

    @property
    def predicted_ms(self):
        return [mac["step_ms"] for mac in self.plan]


@pytest.fixture(scope="module", params=[SMOLLM2, DEEPSEEK])
def service(stage, request):
    yield Service(stage, request.param)
    stage.must("stop", "chat", "--yes")


def macs():
    limits = [112 * 1024 * MIB, 56 * 1024 * MIB, LITTLE]
    sizes = zip(MEMORY_GIB, limits, strict=True)
    return [MacMemory(str(size), size * 1024 * MIB, limit, HARDWARE.bandwidth_with(size)) for size, limit in sizes]


def every_cut(layers):
    return [((0, a), (a, b), (b, layers)) for a in range(1, layers - 1) for b in range(a + 1, layers)]


def fits(card, cut):
    need = [card.weight_bytes(*piece) + card.cache_bytes(*piece, CONTEXT, CONCURRENCY) + overhead_bytes(card.hidden) for piece in cut]
    return all(bytes_ <= mac.usable_bytes for bytes_, mac in zip(need, macs(), strict=True))


def steps_ms(card, cut):
    times = StepTimes(card, rows=-(-CONCURRENCY // len(MEMORY_GIB)))
    return [round(times.seconds(*piece, mac.bandwidth_gb_s) * 1e3, 3) for piece, mac in zip(cut, macs(), strict=True)]


def test_no_other_cut_that_fits_has_a_faster_slowest_stage(service):
    chosen = [(mac["first_layer"], mac["last_layer"]) for mac in service.plan]

    assert service.predicted_ms == steps_ms(service.card, chosen)
    assert max(service.predicted_ms) == min(
        max(steps_ms(service.card, cut)) for cut in every_cut(service.card.layers) if fits(service.card, cut)
    )
    assert len(set(service.layers)) > 1


def test_every_mac_holds_what_was_planned_and_its_step_is_measured(service):
    planned = [[mac["first_layer"], mac["last_layer"]] for mac in service.plan]

    assert [mac["layers"] for mac in service.said["macs"]] == planned
    assert [mac["layers"] for mac in service.status] == planned
    shown = [service.metrics[f'macfleet_stage_step_seconds{{mac="{mac["mac"]}",rank="{mac["rank"]}"}}'] for mac in service.status]
    assert min(map(float, shown)) > 0
    assert min(mac["step_ms"] for mac in service.status) > 0


def test_the_time_to_ready_is_told_by_phase_and_worker(service):
    phase_s, took_s = service.said["phase_s"], service.said["took_s"]

    assert {"stage", "start", "load", "link", "canary"} <= set(phase_s)
    assert sum(phase_s.values()) == pytest.approx(took_s, abs=0.1)
    assert [worker["mac"] for worker in service.said["workers"]] == [mac["mac"] for mac in service.plan]
    assert all(0 < worker["phase_s"]["load"] <= phase_s["load"] + 0.01 for worker in service.said["workers"])


@pytest.mark.parametrize("service", [SMOLLM2], indirect=True)
def test_where_memory_forces_it_the_others_share_the_rest_evenly(service):
    *larger, small = service.plan

    one_more = [(0, 14), (14, small["first_layer"] - 1), (small["first_layer"] - 1, 30)]
    assert not fits(service.card, one_more)
    assert service.layers == [14, 14, 2]
    assert len({mac["step_ms"] for mac in larger}) == 1


@pytest.mark.parametrize("service", [DEEPSEEK], indirect=True)
def test_where_memory_suffices_the_stages_take_equally_long_but_for_a_layer(service):
    a_layer_ms, *_ = steps_ms(service.card, itertools.pairwise((30, 31, 32, 33)))

    assert max(service.predicted_ms) - min(service.predicted_ms) < a_layer_ms
    assert service.layers[0] > service.layers[2]  # the last one has the head, and is slower
