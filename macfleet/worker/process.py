"""The process of one worker: the main thread talks to the gateway, one thread computes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from macfleet import __version__
from macfleet.core.errors import MacfleetError, RequestError
from macfleet.core.json_log import JsonFormatter
from macfleet.engines.protocol import HEARTBEAT_INTERVAL_S, Broken, FromWorker, Hello, Work
from macfleet.models.kv import KvQuantization
from macfleet.weights.manifest import MANIFEST_FILE, parse_manifest
from macfleet.weights.stage import stage_name
from macfleet.worker.config import WorkerConfig, load_config
from macfleet.worker.control import Control, write_heartbeat
from macfleet.worker.engine import Engine
from macfleet.worker.environment import mlx_environment
from macfleet.worker.errors import described, unexpected
from macfleet.worker.gate import wait_for_gpu_memory
from macfleet.worker.link import Link, LinkDead
from macfleet.worker.runner import Inbox, Runner, Stop

log = logging.getLogger("macfleet.worker")

# sysexits.h EX_TEMPFAIL: nothing is wrong with the files, start me again.
START_AGAIN = 75
# How long a step may still run after SIGTERM. launchd's ExitTimeOut is longer; a kill in the middle of a GPU step leaks wired memory.
_LAST_STEP_S = 30.0


def run_worker(config_file: Path) -> int:
    """The worker's whole life. Returns its exit status: 0 after SIGTERM, 75 to be started again, 1 for what a start cannot cure."""
    config = load_config(config_file)
    environment = mlx_environment(config, os.environ)
    os.environ.clear()
    os.environ.update(environment)
    computing = Computing(config)
    control = Control(config, computing.inbox.put)
    signal.signal(signal.SIGTERM, lambda *_: control.stop())
    signal.signal(signal.SIGINT, lambda *_: control.stop())
    computing.start(control)
    control.run(computing.status, computing.is_alive, computing.work)
    computing.finish()
    control.close()
    return computing.exit_status


class Computing:
    """The thread that loads the weights and then runs the frames."""

    def __init__(self, config: WorkerConfig):
        self._config = config
        self.inbox: Inbox = SimpleQueue()
        self.exit_status = 0
        self._runner: Runner | None = None
        self._thread: threading.Thread | None = None

    def start(self, control: Control) -> None:
        self._thread = threading.Thread(target=self._live, args=(control,), name="compute", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def status(self) -> tuple[int, int, float | None]:
        """Epoch, active requests, busy since; a worker that still loads is in epoch 0 and not busy."""
        runner = self._runner
        return (0, 0, None) if runner is None else (runner.epoch, runner.active, runner.busy_since)

    def work(self) -> Work | None:
        """What was done since it was asked last; None while the weights are loaded."""
        return None if self._runner is None else self._runner.work()

    def finish(self) -> None:
        """Let the step that runs come to its end; what still loads is left."""
        self.inbox.put(Stop())
        deadline = time.monotonic() + _LAST_STEP_S
        while self._runner is not None and self.is_alive() and time.monotonic() < deadline:
            assert self._thread is not None
            self._thread.join(HEARTBEAT_INTERVAL_S)
            # The agent kills a worker that falls silent; one that ends in an orderly way must not be taken for it.
            write_heartbeat(self._config.heartbeat_file, epoch=self._runner.epoch, busy_s=None)

    def _live(self, control: Control) -> None:
        say = control.mouth()
        compute_in_long_slices()
        try:
            self._work(say)
        except Exception as error:
            _log_error(error)
            say(Broken(rank=self._config.rank, epoch=self.status()[0], error=described(error)))
            self.exit_status = START_AGAIN if isinstance(error, LinkDead) else 1

    def _work(self, say: Callable[[FromWorker], None]) -> None:
        phases = Phases()
        wait_for_gpu_memory(self._config)
        phases.done("gate")
        import_engine()
        phases.done("import")
        engine = make_engine(self._config)
        phases.done("load")
        link = make_link(self._config, self.inbox)
        say(hello_of(self._config, engine, link, phases.seconds))
        layers = f"{self._config.first_layer}..{self._config.last_layer}"
        log.info(f"layers {layers} are loaded", extra={"weight_bytes": engine.weight_bytes, "phase_s": phases.seconds})
        self._runner = Runner(self._config, engine, link, self.inbox, say)
        try:
            self._runner.run()
        finally:
            engine.close()


def compute_in_long_slices() -> None:
    """On Linux: this thread, and the threads that MLX starts from it, do not interrupt each other.

    Without Metal MLX hands every few operations from one thread to another, and each hand-over switched between them at once: six
    times the switches, and a fifth of the time of a tiny model's step.
    """
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # a container may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class Phases:
    """How long each part of the start took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def done(self, phase: str) -> None:
        now = time.monotonic()
        self.seconds[phase] = round(now - self._since, 3)
        self._since = now


def hello_of(config: WorkerConfig, engine: Engine, link: Link, phase_s: dict[str, float]) -> Hello:
    return Hello(
        rank=config.rank,
        mac=config.mac,
        pid=os.getpid(),
        version=__version__,
        kind=config.kind,
        data_endpoint=link.endpoint,
        data_public_key=config.public_key,
        first_layer=config.first_layer,
        last_layer=config.last_layer,
        weights_sha256=staged_sha256(config),
        weight_bytes=engine.weight_bytes,
        phase_s=phase_s,
    )


def staged_sha256(config: WorkerConfig) -> str | None:
    """The hash that the stage's file had when it was staged; None for a plain model directory."""
    try:
        manifest = parse_manifest((config.model_dir / MANIFEST_FILE).read_text())
    except FileNotFoundError:
        return None
    file = manifest.file(stage_name(config.first_layer, config.last_layer))
    return None if file is None else file.sha256


def import_engine() -> None:
    """mlx and mlx-lm take seconds, which are no time of loading."""
    import macfleet.worker.mlx.engine  # noqa: F401  # for make_engine


def make_engine(config: WorkerConfig) -> Engine:
    from macfleet.worker.mlx.engine import MlxEngine

    return MlxEngine(
        config.model_dir,
        config.first_layer,
        config.last_layer,
        is_last=config.is_last,
        is_proved=config.is_proved,
        batched=config.batched,
        kv=None if config.kv is None else KvQuantization(config.kv.bits, config.kv.group_size),
    )


def make_link(config: WorkerConfig, inbox: Inbox) -> Link:
    if config.kind == "tcp" or config.world == 1:
        from macfleet.worker.tcp import TcpLink

        return TcpLink(config, inbox.put)
    from macfleet.worker.mlx.group import GroupLink

    return GroupLink(config, inbox.put)


def main(arguments: list[str]) -> int:
    """Logs JSON lines to stdout, as the gateway does."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        if len(arguments) != 1:
            raise RequestError("usage: python -m macfleet.worker CONFIG")
        return run_worker(Path(arguments[0]))
    except MacfleetError as error:
        _log_error(error)
        return error.exit_code


def _log_error(error: Exception) -> None:
    """What a user can act on in one line with its hint."""
    hint = error.hint if isinstance(error, MacfleetError) else None
    log.error(described(error), extra={"hint": hint} if hint else None, exc_info=unexpected(error))
