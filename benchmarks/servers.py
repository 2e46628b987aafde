"""The servers that `serve.py` compares, started as their users start them, and a client that asks them all alike."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import zmq

CAN_PIN = hasattr(os, "sched_setaffinity")
DELAYED_WORKER = Path(__file__).with_name("delayed_worker.py")


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens, the name it knows the model by, its cores, and its process groups by what they do."""

    url: str
    model: str
    cores: tuple[int, ...]
    name: str
    groups: dict[str, int]

    @property
    def gateway_pid(self) -> int | None:
        return self.groups.get("gateway")


@contextlib.contextmanager
def process(
    argv: Sequence[str], cores: set[int], log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on these cores, ended with all its children at the end: gently, then not."""
    pin = (lambda: os.sched_setaffinity(0, cores)) if CAN_PIN else None
    with log.open("ab") as out:
        running = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
            preexec_fn=pin,
            start_new_session=True,
        )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


@contextlib.contextmanager
def macfleet(
    model_dir: Path,
    place: Path,
    *,
    stages: int,
    cores: Sequence[int],
    streams: int,
    delay_ms: float = 0.0,
    for_prompts: bool = False,
    context_tokens: int = 4096,
) -> Iterator[Endpoint]:
    """A gateway and its workers from configs written here: no SSH, no launchd. `delay_ms` is added to every link, each way."""
    layers = json.loads((model_dir / "config.json").read_text())["num_hidden_layers"]
    cuts = balanced_cuts(model_dir, layers, stages, for_prompts=for_prompts)
    port, control = free_port(), f"tcp://127.0.0.1:{free_port()}"
    gateway_keys, keys = zmq.curve_keypair(), [zmq.curve_keypair() for _ in range(stages)]
    seats = [
        {"rank": rank, "mac": f"core-{cores[rank]}", "public_key": keys[rank][0].decode(), "first_layer": first, "last_layer": last}
        for rank, (first, last) in enumerate(cuts)
    ]
    gateway = {
        "service": "bench",
        "model": model_dir.name,
        "model_dir": str(model_dir),
        "port": port,
        "control_bind": control,
        "public_key": gateway_keys[0].decode(),
        "secret_key": gateway_keys[1].decode(),
        "workers": seats,
        "context_tokens": context_tokens,
        "concurrency": streams,
        "queue_limit": 1000,
        "state_dir": str(place / "state"),
    }
    with ExitStack() as running:
        argv = [sys.executable, "-m", "macfleet.gateway", written(place / "gateway.json", gateway)]
        groups = {"gateway": running.enter_context(process(argv, set(cores[:stages]), place / "gateway.log")).pid}
        for seat, (public, secret) in zip(seats, keys, strict=True):
            worker = {
                **seat,
                "service": "bench",
                "world": stages,
                "model_dir": str(model_dir),
                "control": control,
                "public_key": public.decode(),
                "secret_key": secret.decode(),
                "gateway_public_key": gateway_keys[0].decode(),
                "previous_public_key": keys[seat["rank"] - 1][0].decode(),
                "context_tokens": context_tokens,
                "concurrency": streams,
                "heartbeat_file": str(place / f"heartbeat-{seat['rank']}.json"),
            }
            file = written(place / f"worker-{seat['rank']}.json", worker)
            start = [str(DELAYED_WORKER), str(delay_ms), file] if delay_ms else ["-m", "macfleet.worker", file]
            log = place / f"worker-{seat['rank']}.log"
            worker_process = running.enter_context(process([sys.executable, *start], {cores[seat["rank"]]}, log))
            groups[f"layers {seat['first_layer']} to {seat['last_layer']}"] = worker_process.pid
        name = "2 stages" if stages == 2 else "1 stage"
        yield Endpoint(f"http://127.0.0.1:{port}", model_dir.name, tuple(cores[:stages]), name, groups)


@contextlib.contextmanager
def mlx_lm_server(model_dir: Path, place: Path, *, cores: Sequence[int], streams: int) -> Iterator[Endpoint]:
    """The peer, as its users start it, on all the cores and with as many threads as it likes."""
    port = free_port()
    argv = [sys.executable, "-m", "mlx_lm", "server", *_server_options(model_dir, port, streams)]
    with process(argv, set(cores), place / "mlx_lm.log", _unlimited()) as server:
        yield Endpoint(f"http://127.0.0.1:{port}", str(model_dir), tuple(cores), "mlx_lm.server", {"server": server.pid})


@contextlib.contextmanager
def mlx_launch_pipeline(model_dir: Path, place: Path, *, cores: Sequence[int], streams: int) -> Iterator[Endpoint]:
    """The peer over two processes: mlx.launch with the ring, each process a stage of mlx-lm's own pipeline."""
    port, ring = free_port(), free_port()
    launch = [str(Path(sys.executable).with_name("mlx.launch")), "-n", "2", "--backend", "ring", "-p", str(ring), "--"]
    argv = [*launch, sys.executable, "-m", "mlx_lm", "server", "--pipeline", *_server_options(model_dir, port, streams)]
    with process(argv, set(cores), place / "mlx_launch.log", _unlimited()) as both:
        yield Endpoint(f"http://127.0.0.1:{port}", str(model_dir), tuple(cores), "mlx.launch", {"both ranks": both.pid})


def _server_options(model_dir: Path, port: int, streams: int) -> list[str]:
    return ["--model", str(model_dir), "--port", str(port), "--decode-concurrency", str(streams), "--log-level", "WARNING"]


def _unlimited() -> dict[str, str]:
    return {name: "" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS") if name in os.environ}


def balanced_cuts(model_dir: Path, layers: int, stages: int, *, for_prompts: bool = False) -> list[tuple[int, int]]:
    """Layers per stage. The head of a small model costs as much as several of its layers, so the last stage gets fewer."""
    config = json.loads((model_dir / "config.json").read_text())
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    # In multiplications of a step of four rows. A layer costs besides what some two million do: all that a tiny model's layer costs.
    per_layer = 4 * (3 * hidden * config["intermediate_size"] + 2.7 * hidden * hidden) + 2e6  # SmolLM2: grouped attention
    # Of all tokens the answers' pass the head, about four in five of these streams'.
    head = round(0.8 * 4 * hidden * vocabulary / per_layer) if stages > 1 and not for_prompts else 0
    share = (layers + head) / stages
    ends = [min(max(round(share * (rank + 1)), rank + 1), layers - stages + rank + 1) for rank in range(stages - 1)] + [layers]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def written(file: Path, config: dict[str, object]) -> str:
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    return str(file)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@dataclass
class Answer:
    """One streamed answer. `arrivals`: seconds after the question at which each piece of text came."""

    text: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    seconds: float = 0.0
    arrivals: list[float] = field(default_factory=list)

    @property
    def first_token_s(self) -> float:
        return self.arrivals[0]

    def gaps(self) -> list[float]:
        return [after - before for before, after in zip(self.arrivals, self.arrivals[1:], strict=False)]


async def ask(client: httpx.AsyncClient, model: str, messages: str | Sequence[dict[str, str]], tokens: int, **more: Any) -> Answer:
    """One greedy streamed answer. Tokens are counted by the server's own usage."""
    conversation = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    body = {"model": model, "messages": conversation, "max_tokens": tokens, "temperature": 0, "stream": True, **more}
    answer, started = Answer(), time.monotonic()
    used = None
    async with client.stream("POST", "/v1/chat/completions", json=body | {"stream_options": {"include_usage": True}}) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            chunk = json.loads(line.removeprefix("data: "))
            if "error" in chunk:
                raise SystemExit(f"{client.base_url} failed: {chunk['error']}")
            used = chunk.get("usage") or used
            text = "".join(choice["delta"].get("content") or "" for choice in chunk.get("choices", ()))
            if text:
                answer.text += text
                answer.arrivals.append(time.monotonic() - started)
    if used is None or not answer.arrivals:
        raise SystemExit(f"{client.base_url} did not say how many tokens it made")
    answer.prompt_tokens, answer.tokens = used["prompt_tokens"], used["completion_tokens"]
    answer.seconds = time.monotonic() - started
    return answer
