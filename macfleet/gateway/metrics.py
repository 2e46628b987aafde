"""What Prometheus reads at /metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from macfleet.engines.protocol import Work
from macfleet.gateway.gang import Gang, Phase
from macfleet.gateway.lines import Lines

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_PER_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """Counters and times of one gateway, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("macfleet_requests", "Requests by how they ended", ["outcome"], registry=self.registry)
        self.prompt_tokens = Counter("macfleet_prompt_tokens", "Tokens read", registry=self.registry)
        self.generation_tokens = Counter("macfleet_generation_tokens", "Tokens written", registry=self.registry)
        # Only where a service has several API keys: what each one, by its name, has had.
        self.key_requests = Counter(
            "macfleet_key_requests", "Requests of an API key by how they ended", ["key", "outcome"], registry=self.registry
        )
        self.key_prompt_tokens = Counter("macfleet_key_prompt_tokens", "Tokens read for an API key", ["key"], registry=self.registry)
        self.key_generation_tokens = Counter(
            "macfleet_key_generation_tokens", "Tokens written for an API key", ["key"], registry=self.registry
        )
        self.key_queue_s = Histogram(
            "macfleet_key_queue_time_seconds",
            "From arrival to a place in the pipeline, of an API key",
            ["key"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.interruptions = Counter("macfleet_gang_interruptions", "Times a ready gang was lost", registry=self.registry)
        self.queue_s = self._histogram("macfleet_queue_time_seconds", "From arrival to a place in the pipeline", _SECONDS)
        self.first_token_s = self._histogram("macfleet_time_to_first_token_seconds", "From arrival to the first token", _SECONDS)
        self.per_token_s = self._histogram(
            "macfleet_time_per_output_token_seconds", "Mean time between the tokens of a request", _PER_TOKEN_SECONDS
        )
        self.request_s = self._histogram("macfleet_request_duration_seconds", "From arrival to the last token", _SECONDS)

    def observe(self, gauges: Callable[[], Iterable[Metric]]) -> None:
        """Adds values that are read at the moment somebody asks."""
        self.registry.register(_Gauges(gauges))

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, what, buckets=buckets, registry=self.registry)


class _Gauges:
    def __init__(self, gauges: Callable[[], Iterable[Metric]]):
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        return self._gauges()

    def describe(self) -> Iterable[Metric]:
        return ()  # so that registering does not collect


def gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(name, what, value=value)


def key_gauges(lines: Lines[Any]) -> Iterator[Metric]:
    """How much of the service each API key has now."""
    running = GaugeMetricFamily("macfleet_key_requests_running", "Requests of an API key in the pipeline", labels=["key"])
    waiting = GaugeMetricFamily("macfleet_key_requests_waiting", "Requests of an API key in the queue", labels=["key"])
    for line in lines:
        running.add_metric([line.name], line.running)
        waiting.add_metric([line.name], len(line.waiting))
    yield from (running, waiting)


def gang_gauges(gang: Gang, now: float) -> Iterator[Metric]:
    """The gang and each of its workers."""
    yield gauge("macfleet_gang_ready", "1 when requests are answered", gang.phase is Phase.READY)
    yield gauge("macfleet_gang_epoch", "How often a gang was assembled or lost", gang.epoch)
    state = GaugeMetricFamily("macfleet_gang_state", "1 for the state the gang is in", labels=["state"])
    for phase in Phase:
        state.add_metric([phase.value], gang.phase is phase)
    yield state
    up = GaugeMetricFamily("macfleet_worker_up", "1 for a worker that is heard", labels=["mac", "rank"])
    age = GaugeMetricFamily("macfleet_worker_heartbeat_age_seconds", "Since the worker was last heard", labels=["mac", "rank"])
    rss = GaugeMetricFamily("macfleet_worker_resident_bytes", "Resident memory of the worker", labels=["mac", "rank"])
    busy = GaugeMetricFamily("macfleet_stage_busy_ratio", "Share of its time that a stage computes", labels=["mac", "rank"])
    step = GaugeMetricFamily("macfleet_stage_step_seconds", "What a decoding step of this stage takes, as measured", labels=["mac", "rank"])
    sent = CounterMetricFamily("macfleet_link_sent_bytes", "Bytes of tensors to the next stage", labels=["mac", "rank"])
    measured = _scheduler(gang).stage_step_s
    for seat in gang.seats:
        labels = [seat.mac, str(seat.rank)]
        if seat.rank < len(measured):
            step.add_metric(labels, measured[seat.rank])
        up.add_metric(labels, seat.is_here)
        if seat.hello is not None:
            age.add_metric(labels, max(now - seat.heard_at, 0))
        if seat.beat is not None:
            rss.add_metric(labels, seat.beat.rss_bytes)
            if seat.beat.work is not None:
                busy.add_metric(labels, seat.beat.work.busy_share)
                sent.add_metric(labels, seat.beat.work.sent_bytes)
    yield from (up, age, rss, busy, step, sent)
    yield from _batching(_scheduler(gang))


def _scheduler(gang: Gang) -> Work:
    """What the first stage says, which schedules."""
    beat = gang.seats[0].beat
    return beat.work if beat and beat.work else Work()


def _batching(work: Work) -> Iterator[Metric]:
    """Lanes and kept prefixes."""
    yield gauge("macfleet_lanes", "Batches that are decoded side by side", len(work.lanes))
    rows = GaugeMetricFamily("macfleet_lane_rows", "Requests in each batch", labels=["lane"])
    for number, size in enumerate(work.lanes):
        rows.add_metric([str(number)], size)
    yield rows
    yield gauge("macfleet_step_seconds", "What a decoding step of the slowest stage takes", work.step_s)
    yield gauge("macfleet_prefix_cache_tokens", "Tokens whose caches are kept for later prompts", work.prefix_tokens)
    yield counter("macfleet_prefix_cache_hits", "Prompts that went on from a kept prefix", work.prefix_hits)
    yield counter("macfleet_prefix_cache_reused_tokens", "Tokens of prompts that were not computed again", work.reused_tokens)
