"""What serving costs and gains: macfleet's stages against one stage, mlx_lm.server and mlx-lm's own loop, side by side in one run.

    python benchmarks/serve.py [--rows throughput,links] [--rounds 2] [--json]

On Linux one stage is pinned to one core and two stages to two, a core each, with the gateway beside them on the same cores; a
peer gets the same cores. Elsewhere nothing can be pinned, which the output says. The measuring client runs on the cores of what it
measures and takes its part of them from all alike, so that the ratios carry over to other machines and the tokens per second do not.
A CPU is bound by computing where a GPU is bound by memory: what a batch gains on a Mac this does not show. Nor does a Mac gain what
Linux does from weights that lie by columns (see macfleet/worker/mlx/layout.py): of the ratios to mlx-lm, which leaves them as they are,
1.6 is that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import itertools

import httpx
from cpu_shares import CpuShares, cpu_s
from servers import CAN_PIN, Endpoint, ask, macfleet, mlx_launch_pipeline, mlx_lm_server

from macfleet.lab.models import ensure

T = TypeVar("T")
TOPICS = ("the sea", "a mountain", "an old clock", "bread", "winter", "a library", "the moon", "a small garden")
STREAMS = 8
LONG_TOKENS = 2000


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is to be at least `target`, or at most where `is_most`.

    `profile`: what share of the time each process of each server computed, in the last run.
    """

    what: str
    ratio: float
    target: float
    is_most: bool
    figures: str
    spread: str = ""
    profile: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def is_reached(self) -> bool:
        return self.ratio <= self.target if self.is_most else self.ratio >= self.target


@dataclass
class Bench:
    """One run: the models, the cores and how often each comparison is made."""

    smollm2: Path
    deepseek: Path
    cores: list[int]
    rounds: int
    tokens: int
    profile: dict[str, dict[str, float]] = field(default_factory=dict)

    def stages(
        self, count: int, *, model: Path | None = None, delay_ms: float = 0.0, for_prompts: bool = False
    ) -> Callable[[Path], AbstractContextManager[Endpoint]]:
        return lambda place: macfleet(
            model or self.smollm2, place, stages=count, cores=self.cores, streams=STREAMS, delay_ms=delay_ms, for_prompts=for_prompts
        )

    def on(
        self, server: Callable[[Path], AbstractContextManager[Endpoint]], work: Callable[[httpx.AsyncClient, Endpoint], Awaitable[T]]
    ) -> T:
        """The work's result on a server that was started for it and is warm."""

        async def run(endpoint: Endpoint) -> T:
            async with asyncio.timeout(600), httpx.AsyncClient(base_url=endpoint.url, timeout=None) as client:
                await _answering(client, endpoint.model)
                shares = CpuShares(endpoint.groups)
                result = await work(client, endpoint)
                self.profile[endpoint.name] = shares.so_far()
                return result

        with tempfile.TemporaryDirectory(prefix="macfleet-bench-") as place:
            try:
                with server(Path(place)) as endpoint, pinned(endpoint.cores):
                    return asyncio.run(run(endpoint))
            except (SystemExit, httpx.HTTPError, TimeoutError) as error:
                for log in sorted(Path(place).glob("*.log")):
                    print(f"--- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
                raise SystemExit(f"error: {error or 'not done within 10 min'}") from error

    def compared(self, ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float, float, str]:
        """(median ratio, median of ours, of theirs, the spread of the ratios), measured in turns."""
        pairs = [(ours(), theirs()) for _ in range(self.rounds)]
        ratios = sorted(mine / other for mine, other in pairs)
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        return statistics.median(ratios), mine, other, f"{ratios[0]:.2f} to {ratios[-1]:.2f}"


@contextlib.contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """This process, the client, on these cores."""
    if not CAN_PIN:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _answering(client: httpx.AsyncClient, model: str) -> None:
    """Until the server has answered once, which also warms it."""
    while True:
        with contextlib.suppress(httpx.TransportError, httpx.HTTPStatusError):
            await ask(client, model, "Hello", 4)
            return
        await asyncio.sleep(0.2)


def throughput(tokens: int, streams: int = STREAMS) -> Callable[[httpx.AsyncClient, Endpoint], Awaitable[float]]:
    """Tokens per second of so many streams at once, their prompts included; every stream has a prompt of its own."""

    async def work(client: httpx.AsyncClient, endpoint: Endpoint) -> float:
        prompts = [f"Tell me everything about {TOPICS[number % len(TOPICS)]}, part {number}." for number in range(streams)]
        started = time.monotonic()
        answers = await asyncio.gather(*(ask(client, endpoint.model, prompt, tokens) for prompt in prompts))
        return sum(answer.tokens for answer in answers) / (time.monotonic() - started)

    return work


def two_stages_against_one(bench: Bench) -> Row:
    work = throughput(bench.tokens)
    ratio, two, one, spread = bench.compared(lambda: bench.on(bench.stages(2), work), lambda: bench.on(bench.stages(1), work))
    return Row("8 streams, 2 stages on 2 cores / 1 stage on 1 core", ratio, 1.8, False, f"{two:.1f} / {one:.1f} tok/s", spread)


def against_mlx_lm_server(bench: Bench) -> Row:
    work = throughput(bench.tokens)

    def peer(place: Path) -> AbstractContextManager[Endpoint]:
        return mlx_lm_server(bench.smollm2, place, cores=bench.cores, streams=STREAMS)

    ratio, ours, theirs, spread = bench.compared(lambda: bench.on(bench.stages(2), work), lambda: bench.on(peer, work))
    return Row("8 streams, 2 stages / mlx_lm.server on both cores", ratio, 2.0, False, f"{ours:.1f} / {theirs:.1f} tok/s", spread)


def against_mlx_launch(bench: Bench) -> Row:
    work = throughput(bench.tokens)

    def peer(place: Path) -> AbstractContextManager[Endpoint]:
        return mlx_launch_pipeline(bench.deepseek, place, cores=bench.cores, streams=STREAMS)

    ours = bench.stages(2, model=bench.deepseek)
    ratio, mine, theirs, spread = bench.compared(lambda: bench.on(ours, work), lambda: bench.on(peer, work))
    return Row(
        "8 streams of deepseek_v3 tiny, 2 stages / mlx.launch --pipeline", ratio, 2.5, False, f"{mine:.0f} / {theirs:.0f} tok/s", spread
    )


def against_own_loop(bench: Bench) -> Row:
    """One stream: the whole path with gateway and HTTP against mlx-lm's generate loop in one process on the same core."""

    async def work(client: httpx.AsyncClient, endpoint: Endpoint) -> float:
        answer = await ask(client, endpoint.model, "Write a long story about the sea.", bench.tokens)
        return (len(answer.arrivals) - 1) / (answer.arrivals[-1] - answer.arrivals[0])

    def loop() -> float:
        argv = [sys.executable, str(Path(__file__).with_name("own_loop.py")), str(bench.smollm2), str(bench.tokens)]
        pin = (lambda: os.sched_setaffinity(0, {bench.cores[0]})) if CAN_PIN else None
        done = subprocess.run(argv, capture_output=True, text=True, check=True, preexec_fn=pin)
        return float(done.stdout)

    ratio, ours, theirs, spread = bench.compared(lambda: bench.on(bench.stages(1), work), loop)
    return Row("1 stream, 1 stage / mlx-lm's own generate loop", ratio, 0.97, False, f"{ours:.2f} / {theirs:.2f} tok/s", spread)


def long_prompt(topic: str) -> str:
    """About LONG_TOKENS tokens of SmolLM2's; each topic has its own, so that nothing is known from before."""
    words = " ".join(f"On day {day} we wrote about {topic} and counted {day * 7 % 97} lines." for day in range(1, 130))
    return f"{words} What was the last day?"


def first_token_of_a_long_prompt(bench: Bench) -> Row:
    async def work(client: httpx.AsyncClient, endpoint: Endpoint) -> float:
        return (await ask(client, endpoint.model, long_prompt("ships"), 2)).first_token_s

    two_stages = bench.stages(2, for_prompts=True)
    ratio, two, one, spread = bench.compared(lambda: bench.on(two_stages, work), lambda: bench.on(bench.stages(1), work))
    return Row("first token of a 2,000-token prompt, 2 stages cut for prompts / 1", ratio, 0.6, True, f"{two:.2f} / {one:.2f} s", spread)


def longest_gap(bench: Bench) -> Row:
    """A stream that runs while somebody's long prompt is read."""

    async def gaps(client: httpx.AsyncClient, endpoint: Endpoint) -> tuple[float, float]:
        usual = statistics.median((await ask(client, endpoint.model, "Write a long story about winter.", bench.tokens)).gaps())
        seen: list[float] = []

        async def stream() -> None:
            answer = await ask(client, endpoint.model, "Write a long story about bread.", 600)
            seen.extend(answer.arrivals)

        began = time.monotonic()
        running = asyncio.ensure_future(stream())
        await asyncio.sleep(20 * usual)
        asked = time.monotonic() - began
        read = await ask(client, endpoint.model, long_prompt("trains"), 1)
        ended = asked + read.first_token_s
        await running
        inside = [after - before for before, after in itertools.pairwise(seen) if before <= ended and after >= asked]
        return usual, max(inside)

    pairs = [bench.on(bench.stages(2), gaps) for _ in range(bench.rounds)]
    ratios = sorted(longest / usual for usual, longest in pairs)
    usual, longest = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(
        "longest gap of a stream beside a 2,000-token prompt / usual",
        statistics.median(ratios),
        3.0,
        True,
        f"{1000 * longest:.0f} / {1000 * usual:.0f} ms",
        f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
    )


def slow_links(bench: Bench) -> Row:
    work = throughput(bench.tokens)
    ratio, slow, quick, spread = bench.compared(
        lambda: bench.on(bench.stages(2, delay_ms=20), work), lambda: bench.on(bench.stages(2), work)
    )
    return Row("8 streams, 20 ms on every link / none", ratio, 0.9, False, f"{slow:.1f} / {quick:.1f} tok/s", spread)


def second_turn(bench: Bench) -> Row:
    async def work(client: httpx.AsyncClient, endpoint: Endpoint) -> float:
        first = [{"role": "user", "content": long_prompt("bees")}]
        answer = await ask(client, endpoint.model, first, 12)
        second = [*first, {"role": "assistant", "content": answer.text}, {"role": "user", "content": "And the first?"}]
        return (await ask(client, endpoint.model, second, 2)).first_token_s / answer.first_token_s

    ratios = sorted(bench.on(bench.stages(2), work) for _ in range(bench.rounds))
    spread = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
    return Row("first token of a 2,000-token chat's second turn / first", statistics.median(ratios), 0.1, True, "", spread)


def gateway_cost(bench: Bench) -> Row:
    """CPU seconds of the gateway for each token, of the time that a stage has for a step of that many tokens."""

    async def work(client: httpx.AsyncClient, endpoint: Endpoint) -> float:
        before, started = cpu_s(endpoint.groups["gateway"]), time.monotonic()
        tokens_per_s = await throughput(bench.tokens)(client, endpoint)
        spent, wall = cpu_s(endpoint.groups["gateway"]) - before, time.monotonic() - started
        tokens = tokens_per_s * wall
        return (spent / tokens) / (2 * wall / tokens)  # two stages compute for each token

    shares = sorted(bench.on(bench.stages(2), work) for _ in range(bench.rounds))
    return Row(
        "gateway's CPU per token / the stages' time per token",
        statistics.median(shares),
        0.03,
        True,
        "",
        f"{shares[0]:.4f} to {shares[-1]:.4f}",
    )


ROWS: dict[str, Callable[[Bench], Row]] = {
    "stages": two_stages_against_one,
    "server": against_mlx_lm_server,
    "pipeline": against_mlx_launch,
    "loop": against_own_loop,
    "prompt": first_token_of_a_long_prompt,
    "gap": longest_gap,
    "links": slow_links,
    "turn": second_turn,
    "gateway": gateway_cost,
}


def measured(bench: Bench, names: list[str]) -> Iterator[Row]:
    for name in names:
        print(f"measuring {name}", file=sys.stderr)
        bench.profile = {}
        yield replace(ROWS[name](bench), profile=bench.profile)


def print_profile(row: Row) -> None:
    for name, shares in row.profile.items():
        computed = ", ".join(f"{who} {100 * share:.1f} %" for who, share in shares.items())
        print(f"    {name}, CPU of the time: {computed}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS), help="which comparisons, by name: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is made")
    parser.add_argument("--tokens", type=int, default=96, help="tokens of each answer, at most")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: told to end"))  # with the servers that were started
    names = options.rows.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no row is called {', '.join(unknown)}; there are {', '.join(ROWS)}")
    cores = sorted(os.sched_getaffinity(0))[:2] if CAN_PIN else [0, 1]
    if len(cores) < 2:
        raise SystemExit("this comparison needs two cores")

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    bench = Bench(ensure("smollm2-135m", say=say), ensure("deepseek-v3-tiny", say=say), cores, options.rounds, options.tokens)
    rows = []
    for row in measured(bench, names):
        rows.append(row)
        if not options.json:
            wanted = f"{'≤' if row.is_most else '≥'} {row.target:g}"
            print(
                f"{row.what:<66}{row.ratio:>8.3f}  {wanted:<8}{'' if row.is_reached else 'NOT REACHED  '}{row.figures}  ({row.spread})",
                flush=True,
            )
            if not row.is_reached:
                print_profile(row)
    if options.json:
        print(
            json.dumps({"schema": 2, "pinned": CAN_PIN, "rows": [asdict(row) | {"is_reached": row.is_reached} for row in rows]}, indent=2)
        )
    elif not CAN_PIN:
        print("this machine cannot pin processes to cores: the stages and the peers had all of them")


if __name__ == "__main__":
    main()
