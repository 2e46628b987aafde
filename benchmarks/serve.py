"""What serving costs: macfleet's gateway and stages against `mlx_lm.server`, the same model, prompts and cores, in one run.

    python benchmarks/serve.py [--model smollm2-135m] [--streams 8] [--tokens 24] [--seconds 420] [--json]

On Linux one stage is pinned to one core and two stages to two, a core each, with the gateway beside them on the same cores;
`mlx_lm.server` and the two stages share those two cores in turn. Elsewhere nothing can be pinned, which the output says.
The measuring client runs here too and takes its part of the cores from both alike, so that the ratios carry over to other
machines and the tokens per second do not. A CPU is bound by computing where a GPU is bound by memory: what a batch gains on a
Mac, and so what `mlx_lm.server` gains there by batching, this does not show.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx
import zmq

from macfleet.lab.models import ensure

TOPICS = ("the sea", "a mountain", "an old clock", "bread", "winter", "a library", "the moon", "a small garden")
CAN_PIN = hasattr(os, "sched_setaffinity")


@dataclass(frozen=True)
class Figures:
    """One server. Tokens per second of the whole run, prefill included; first token in seconds, median over the streams."""

    server: str
    cores: int
    single_tokens_per_s: float
    aggregate_tokens_per_s: float
    streams: int
    first_token_s: float
    tokens: int


@dataclass(frozen=True)
class Answer:
    tokens: int
    seconds: float
    first_token_s: float


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens, and the name it knows the model by."""

    url: str
    model: str


@contextlib.contextmanager
def process(
    argv: Sequence[str], cores: set[int], log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on these cores, ended at the end: gently, then not."""
    pin = (lambda: os.sched_setaffinity(0, cores)) if CAN_PIN else None
    with log.open("ab") as out:
        running = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(environment or {})}, preexec_fn=pin
        )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextlib.contextmanager
def macfleet(model_dir: Path, stages: int, cores: Sequence[int], streams: int, place: Path) -> Iterator[Endpoint]:
    """A gateway and its workers from configs written here: no SSH, no launchd."""
    layers = json.loads((model_dir / "config.json").read_text())["num_hidden_layers"]
    cuts = balanced_cuts(layers, stages)
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
        "context_tokens": 4096,
        "concurrency": streams,
        "state_dir": str(place / "state"),
    }
    with ExitStack() as running:
        argv = [sys.executable, "-m", "macfleet.gateway", written(place / "gateway.json", gateway)]
        running.enter_context(process(argv, set(cores[:stages]), place / "gateway.log"))
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
                "context_tokens": 4096,
                "concurrency": streams,
                "heartbeat_file": str(place / f"heartbeat-{seat['rank']}.json"),
            }
            file = written(place / f"worker-{seat['rank']}.json", worker)
            argv = [sys.executable, "-m", "macfleet.worker", file]
            running.enter_context(process(argv, {cores[seat["rank"]]}, place / f"worker-{seat['rank']}.log"))
        yield Endpoint(f"http://127.0.0.1:{port}", model_dir.name)


@contextlib.contextmanager
def mlx_lm_server(model_dir: Path, cores: Sequence[int], streams: int, place: Path) -> Iterator[Endpoint]:
    """The peer, as its users start it, on all the cores and with as many threads as it likes."""
    port = free_port()
    options = ["--model", str(model_dir), "--port", str(port), "--decode-concurrency", str(streams), "--log-level", "WARNING"]
    environment = {name: "" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS") if name in os.environ}
    with process([sys.executable, "-m", "mlx_lm", "server", *options], set(cores), place / "mlx_lm.log", environment):
        yield Endpoint(f"http://127.0.0.1:{port}", str(model_dir))


def balanced_cuts(layers: int, stages: int) -> list[tuple[int, int]]:
    """Layers per stage. The head of a small model costs as much as several of its layers, so the last stage gets fewer."""
    head = round(layers * 0.27) if stages > 1 else 0  # SmolLM2: 28 of 106 million multiplications per token are its head
    share = (layers + head) / stages
    ends = [min(round(share * (rank + 1)), layers) for rank in range(stages - 1)] + [layers]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def written(file: Path, config: dict[str, object]) -> str:
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    return str(file)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


async def measure(name: str, cores: int, endpoint: Endpoint, streams: int, tokens: int, deadline: float) -> Figures:
    """Alone first, then all streams at once; every stream has a prompt of its own, none is asked twice."""
    async with asyncio.timeout(deadline - time.monotonic()), httpx.AsyncClient(base_url=endpoint.url, timeout=None) as client:
        await answering(client, endpoint.model)
        single = await ask(client, endpoint.model, f"Write a long story about {TOPICS[0]}.", tokens)
        started = time.monotonic()
        prompts = [f"Tell me everything about {TOPICS[number % len(TOPICS)]}, part {number}." for number in range(streams)]
        answers = await asyncio.gather(*(ask(client, endpoint.model, prompt, tokens) for prompt in prompts))
        wall_s = time.monotonic() - started
    total = sum(answer.tokens for answer in answers)
    return Figures(
        server=name,
        cores=cores,
        single_tokens_per_s=round(single.tokens / single.seconds, 2),
        aggregate_tokens_per_s=round(total / wall_s, 2),
        streams=streams,
        first_token_s=round(sorted(answer.first_token_s for answer in answers)[len(answers) // 2], 3),
        tokens=total,
    )


async def answering(client: httpx.AsyncClient, model: str) -> None:
    """Until the server has answered once, which also warms it."""
    while True:
        with contextlib.suppress(httpx.TransportError, httpx.HTTPStatusError):
            await ask(client, model, "Hello", 2)
            return
        await asyncio.sleep(0.2)


async def ask(client: httpx.AsyncClient, model: str, prompt: str, tokens: int) -> Answer:
    """One greedy streamed answer. Chunks are counted by the server's own usage."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    started, first, used = time.monotonic(), None, None
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            chunk = json.loads(line.removeprefix("data: "))
            if "error" in chunk:
                raise SystemExit(f"{client.base_url} failed: {chunk['error']}")
            used = chunk.get("usage") or used
            if first is None and any(choice["delta"].get("content") for choice in chunk.get("choices", ())):
                first = time.monotonic()
    if used is None or first is None:
        raise SystemExit(f"{client.base_url} did not say how many tokens it made")
    return Answer(used["completion_tokens"], time.monotonic() - started, first - started)


def run(options: argparse.Namespace) -> list[Figures]:
    deadline = time.monotonic() + options.seconds
    model_dir = ensure(options.model, say=lambda text: print(text, file=sys.stderr))
    cores = sorted(os.sched_getaffinity(0))[:2] if CAN_PIN else [0, 1]
    if len(cores) < 2:
        raise SystemExit("this comparison needs two cores")

    def one_stage(place: Path) -> AbstractContextManager[Endpoint]:
        return macfleet(model_dir, 1, cores, options.streams, place)

    def two_stages(place: Path) -> AbstractContextManager[Endpoint]:
        return macfleet(model_dir, 2, cores, options.streams, place)

    def peer(place: Path) -> AbstractContextManager[Endpoint]:
        return mlx_lm_server(model_dir, cores, options.streams, place)

    servers: dict[str, tuple[int, Callable[[Path], AbstractContextManager[Endpoint]]]] = {
        "macfleet, 1 stage": (1, one_stage),
        "macfleet, 2 stages": (2, two_stages),
        "mlx_lm.server": (2, peer),
    }
    figures = []
    for name, (count, start) in servers.items():
        with tempfile.TemporaryDirectory(prefix="macfleet-bench-") as place:
            print(f"measuring {name}", file=sys.stderr)
            try:
                with start(Path(place)) as endpoint:
                    figures.append(asyncio.run(measure(name, count, endpoint, options.streams, options.tokens, deadline)))
            except (SystemExit, httpx.HTTPError, TimeoutError) as error:
                for log in sorted(Path(place).glob("*.log")):
                    print(f"--- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
                late = f"not done within {options.seconds:g} s" if isinstance(error, TimeoutError) else str(error)
                raise SystemExit(f"error: {name}: {late}") from error
    return figures


def ratios(figures: Sequence[Figures]) -> dict[str, float]:
    one, two, peer = figures
    return {
        "aggregate, 2 stages / 1 stage": round(two.aggregate_tokens_per_s / one.aggregate_tokens_per_s, 2),
        "aggregate, 2 stages / mlx_lm.server": round(two.aggregate_tokens_per_s / peer.aggregate_tokens_per_s, 2),
        "single stream, 2 stages / mlx_lm.server": round(two.single_tokens_per_s / peer.single_tokens_per_s, 2),
        "single stream, 2 stages / 1 stage": round(two.single_tokens_per_s / one.single_tokens_per_s, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="a lab model")
    parser.add_argument("--streams", type=int, default=8, help="requests at once")
    parser.add_argument("--tokens", type=int, default=24, help="tokens of each answer, at most")
    parser.add_argument("--seconds", type=float, default=420, help="give up after this long")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = run(options)
    if options.json:
        print(
            json.dumps({"schema": 1, "pinned": CAN_PIN, "servers": [asdict(one) for one in figures], "ratios": ratios(figures)}, indent=2)
        )
        return
    print(f"{'server':<22}{'cores':>6}{'1 stream':>12}{f'{options.streams} streams':>14}{'first token':>14}")
    for one in figures:
        single, aggregate = f"{one.single_tokens_per_s:.1f} tok/s", f"{one.aggregate_tokens_per_s:.1f} tok/s"
        print(f"{one.server:<22}{one.cores:>6}{single:>12}{aggregate:>14}{f'{one.first_token_s:.2f} s':>14}")
    for name, ratio in ratios(figures).items():
        print(f"{name:<42}{ratio:>6.2f}×")
    if not CAN_PIN:
        print("this machine cannot pin processes to cores: the stages and the peer had all of them")


if __name__ == "__main__":
    main()
