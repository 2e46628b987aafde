"""Many streams at once for minutes, and nothing lost, mixed up or grown: macfleet's gateway and stages under clients that come and go.

    python benchmarks/soak.py [--minutes 10] [--streams 64] [--stages 2] [--model tiny|LAB_MODEL|DIRECTORY] [--seed N] [--json]

Every client asks over real HTTP, one question after another: prompts from one token to several hundred, many with the same
beginning, second turns of chats; answers of one token to a hundred and more, streamed or whole, greedy or drawn with a seed, some
with log probabilities, stop words or several choices; some clients leave in the middle, and now and then a third of them at once.

Afterwards every answer, also what was heard of one that was left, is compared with what mlx-lm's own model says when it is asked
alone, one token at a time. An answer may go another way only where two tokens tie within rounding, and is then held to the lone
run that goes that way. Memory is flat when the anonymous memory of gateway and workers has, in the last third of the time, a
median that is not above the middle third's by more than 2 % or 4 MiB. At the end, with nobody there, the gateway and the workers
have the files and threads of the beginning, save for those that are made once, and no place is taken.

Ends with 1 when something was lost, wrong, or has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import httpx
from asked import Asked, Style, hear, style_of
from compared import Comparison, Kind, Verdict
from lone import Lone
from questions import ENGLISH, FIRST_TURN_TOKENS, Question, make_pool
from servers import CAN_PIN, Endpoint, macfleet
from tiny_words import WORDS, make_tiny_words
from vitals import MIB, SHORTEST_JUDGED_S, Growth, Vitals, growth, read_vitals

from macfleet.lab.models import ensure

CONTEXT_TOKENS = 1024  # with as many streams: kept prefixes reach the end of their room, and the oldest have to go
SILENCE_S = 120.0  # an answer of which nothing comes for so long is lost
STORM_EVERY_S = 20.0
# What pyzmq makes at the first message of 64 KiB, for itself: a context with its two threads, and one that collects what was sent.
ONCE_FILES, ONCE_THREADS = 7, 3


@dataclass
class Soaked:
    """All that was asked, and what the processes held meanwhile. `vitals`: by the process's name."""

    asked: list[Asked] = field(default_factory=list)
    vitals: dict[str, list[Vitals]] = field(default_factory=dict)
    at_rest: dict[str, tuple[Vitals, Vitals]] = field(default_factory=dict)
    seconds: float = 0.0
    died: list[str] = field(default_factory=list)
    kept_places: str = ""  # what the service still says is running when nobody is there
    work: dict[str, Any] = field(default_factory=dict)


class Soak:
    """The clients of one run. What each of them asks comes from the seed; when things happen does not."""

    def __init__(self, endpoint: Endpoint, pool: list[Question], words: tuple[str, ...], longest: int, seed: int):
        self._endpoint, self._pool, self._words, self._longest, self._seed = endpoint, pool, words, longest, seed
        self._listening: set[asyncio.Timeout] = set()
        self._soaked = Soaked()
        self._pids: dict[str, int] = {}

    async def run(self, streams: int, seconds: float) -> Soaked:
        async with self._client() as client:
            await _until_ready(client)
            self._pids = await self._processes(client)
            await hear(client, self._endpoint.model, self._pool[0], Style(8), asyncio.timeout(None))
        before = await self._rest()
        began = time.monotonic()
        async with self._client() as client, asyncio.TaskGroup() as group:
            helpers = [group.create_task(self._sample(began)), group.create_task(self._storms())]
            clients = [group.create_task(self._ask_on(number, client, began + seconds)) for number in range(streams)]
            await asyncio.wait(clients)
            self._soaked.seconds = time.monotonic() - began
            for helper in helpers:
                helper.cancel()
        if not self._soaked.died:
            after = await self._rest()
            self._soaked.at_rest = {name: (before[name], after[name]) for name in before}
        return self._soaked

    def _client(self) -> httpx.AsyncClient:
        """Some connections are used again and again, others are new."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=24)
        timeout = httpx.Timeout(SILENCE_S, connect=10)
        return httpx.AsyncClient(base_url=self._endpoint.url, limits=limits, timeout=timeout, verify=False)  # plain HTTP

    async def _ask_on(self, number: int, client: httpx.AsyncClient, until: float) -> None:
        rng = random.Random(f"{self._seed} {number}")
        while time.monotonic() < until and not self._soaked.died:
            question = rng.choice(self._pool)
            if question.before is not None and rng.random() < 0.5:
                await self._ask(client, question.before, Style(FIRST_TURN_TOKENS))
            await self._ask(client, question, style_of(rng, self._words, self._longest))

    async def _ask(self, client: httpx.AsyncClient, question: Question, style: Style) -> None:
        leaving = asyncio.timeout(style.leaves_after_s)
        self._listening.add(leaving)
        heard = await hear(client, self._endpoint.model, question, style, leaving)
        self._listening.discard(leaving)
        self._soaked.asked.append(Asked(len(self._soaked.asked), question, style, heard))

    async def _storms(self) -> None:
        rng = random.Random(self._seed)
        while True:
            await asyncio.sleep(STORM_EVERY_S)
            for leaving in rng.sample(sorted(self._listening, key=id), len(self._listening) // 3):
                with contextlib.suppress(RuntimeError):  # it has not begun to listen, or has just ended
                    leaving.reschedule(0)

    async def _sample(self, began: float) -> None:
        while not self._soaked.died:
            for name, pid in self._pids.items():
                try:
                    self._soaked.vitals.setdefault(name, []).append(read_vitals(pid, time.monotonic() - began))
                except OSError:
                    self._soaked.died.append(name)
            await asyncio.sleep(1)

    async def _rest(self) -> dict[str, Vitals]:
        """The processes when nobody asks. A worker says how much it runs with its heartbeat, so a moment later."""
        deadline = time.monotonic() + 15
        async with self._client() as client:
            while True:
                health = (await client.get("/health")).json()
                running = [health["running"], health["waiting"], *(worker["active"] for worker in health["workers"])]
                if not any(running) or time.monotonic() > deadline:
                    break
                await asyncio.sleep(0.2)
        self._soaked.kept_places = "" if not any(running) else f"running, waiting, active of each worker: {running}"
        self._soaked.work = health["workers"][0]["work"] or {}
        await asyncio.sleep(1)  # the connection just closed is closed at the other end too
        return {name: read_vitals(pid, 0.0) for name, pid in self._pids.items()}

    async def _processes(self, client: httpx.AsyncClient) -> dict[str, int]:
        if not Path("/proc/self/status").exists():
            return {}
        workers = {f"worker {worker['rank']}": worker["pid"] for worker in (await client.get("/health")).json()["workers"]}
        return {"gateway": self._endpoint.gateway_pid or 0, **workers}


async def _until_ready(client: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if (await client.get("/health")).status_code == 200:
                return
        await asyncio.sleep(0.2)
    raise SystemExit("error: the service was not ready within 120 s")


@dataclass
class Report:
    """What came out, and whether it is as it should be."""

    soaked: Soaked
    lone: Lone
    verdicts: list[tuple[Asked, Verdict]]
    logged_errors: list[str]

    @property
    def counts(self) -> Counter[Kind]:
        return Counter(verdict.kind for _, verdict in self.verdicts)

    @property
    def bad(self) -> list[tuple[Asked, Verdict]]:
        return [(asked, verdict) for asked, verdict in self.verdicts if verdict.kind in (Kind.WRONG, Kind.LOST)]

    @property
    def growths(self) -> dict[str, Growth]:
        """Empty for a run that is too short to tell."""
        long_enough = self.soaked.seconds >= SHORTEST_JUDGED_S
        return {name: growth(samples) for name, samples in self.soaked.vitals.items()} if long_enough else {}

    @property
    def left_open(self) -> dict[str, str]:
        """Processes that have more files or threads when everybody is gone than before anybody came."""
        return {
            name: f"{before.files} → {after.files} files, {before.threads} → {after.threads} threads"
            for name, (before, after) in self.soaked.at_rest.items()
            if after.files > before.files + ONCE_FILES or after.threads > before.threads + ONCE_THREADS
        }

    @property
    def is_well(self) -> bool:
        is_flat = all(one.is_flat for one in self.growths.values())
        return is_flat and not (self.bad or self.left_open or self.soaked.died or self.soaked.kept_places or self.logged_errors)

    def as_json(self) -> dict[str, Any]:
        asked = self.soaked.asked
        return {
            "schema": 1,
            "is_well": self.is_well,
            "seconds": round(self.soaked.seconds, 1),
            "asked": len(asked),
            "left": sum(one.heard.has_left for one in asked),
            "tokens": sum(one.heard.tokens or 0 for one in asked),
            "choices": {kind.value: self.counts[kind] for kind in Kind},
            "tie_bound": self.lone.bound,
            "widest_tie": max((verdict.gap for _, verdict in self.verdicts), default=0.0),
            "bad": [
                {"number": one.number, "style": asdict(one.style), "why": f"{verdict.kind}: {verdict.why}"} for one, verdict in self.bad
            ],
            "growth": {name: asdict(one) | {"is_flat": one.is_flat} for name, one in self.growths.items()},
            "died": self.soaked.died,
            "left_open": self.left_open,
            "kept_places": self.soaked.kept_places,
            "logged_errors": self.logged_errors[:10],
            "prefixes": {name: self.soaked.work.get(name) for name in ("prefix_hits", "prefix_tokens", "reused_tokens")},
        }

    def print(self) -> None:
        told = self.as_json()
        choices = Counter({kind: told["choices"][kind.value] for kind in Kind})
        print(f"{told['asked']} questions in {told['seconds']:.0f} s, {told['left']} left in the middle; {told['tokens']} tokens and more")
        print(f"kept prefixes: {told['prefixes']}")
        print(f"equal to the lone run     {choices[Kind.EQUAL]:>8}")
        print(f"a tie within rounding     {choices[Kind.TIED]:>8}  widest {told['widest_tie']:.1e}, bound {told['tie_bound']:.1e}")
        print(f"wrong                     {choices[Kind.WRONG]:>8}")
        print(f"lost                      {choices[Kind.LOST]:>8}")
        for one, verdict in self.bad[:10]:
            print(f"  {verdict.kind} in question {one.number}, {one.style}\n    {verdict.why}")
        for name, samples in self.soaked.vitals.items():
            print(f"{name:<10}{self._memory(name, samples)}")
        for name in self.soaked.died:
            print(f"{name} has died")
        for name, why in self.left_open.items():
            print(f"{name} has not let go: {why}")
        if self.soaked.kept_places:
            print(f"places are still taken: {self.soaked.kept_places}")
        for line in self.logged_errors[:5]:
            print(f"logged: {line[:300]}")
        print("well" if self.is_well else "NOT WELL")

    def _memory(self, name: str, samples: list[Vitals]) -> str:
        files = [sample.files for sample in samples]
        resident = f"{samples[0].resident_bytes / MIB:.0f} → {samples[-1].resident_bytes / MIB:.0f} MiB resident"
        ends = f"{resident}, {min(files)} to {max(files)} files"
        if name not in self.growths:
            anonymous = [f"{samples[at].anonymous_bytes / MIB:.1f}" for at in (0, len(samples) // 3, 2 * len(samples) // 3, -1)]
            return f"{' → '.join(anonymous)} MiB anonymous, too short to judge; {ends}"
        one = self.growths[name]
        verdict = "flat" if one.is_flat else "GROWS"
        return f"{one.middle_bytes / MIB:.1f} → {one.last_bytes / MIB:.1f} MiB anonymous, {verdict}; {ends}"


def judged(lone: Lone, soaked: Soaked) -> list[tuple[Asked, Verdict]]:
    comparison = Comparison(lone, soaked.asked)
    _say(f"computing {comparison.count} lone runs")
    return [(asked, verdict) for asked in soaked.asked for verdict in comparison.verdicts(asked)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _model(name: str, place: Path) -> Path:
    if name == "tiny":
        return make_tiny_words(place / "tiny")
    given = Path(name)
    return given if given.exists() else ensure(name, say=_say)


def _logged_errors(place: Path) -> list[str]:
    """What a process logged as an error, or Python or C++ wrote at its end; libraries write other things too."""
    lines = [line for log in sorted(place.glob("*.log")) for line in log.read_text().splitlines()]
    marks = ('"level": "error"', '"level": "critical"', "Traceback", "terminate called", "Fatal")
    return [line for line in lines if any(mark in line for mark in marks)]


def soak(options: argparse.Namespace) -> Report:
    cores = sorted(os.sched_getaffinity(0)) if CAN_PIN else [0]
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="macfleet-soak-") as temporary:
        place = Path(temporary)
        model_dir = _model(options.model, place)
        lone = Lone(model_dir)
        words = WORDS if WORDS[0] in lone.tokenizer.get_vocab() else ENGLISH
        _say(f"making {options.questions} questions, with the first answers of chats")
        pool = make_pool(lone, words, options.questions, rng)
        _say("measuring how far the order of sums moves a logit")
        by_length = sorted((question.prompt for question in pool), key=len)
        lone.measure_noise([by_length[len(pool) * eighth // 8] for eighth in (1, 2, 4)], 16)
        spread = [cores[rank % len(cores)] for rank in range(options.stages)]
        with macfleet(
            model_dir, place, stages=options.stages, cores=spread, streams=options.streams, context_tokens=CONTEXT_TOKENS
        ) as endpoint:
            _say(f"{options.streams} clients ask for {options.minutes:g} min")
            one = Soak(endpoint, pool, words, options.longest, options.seed)
            soaked = asyncio.run(one.run(options.streams, 60 * options.minutes))
            logged = _logged_errors(place)  # when the processes end, each sees its neighbours go
        return Report(soaked, lone, judged(lone, soaked), logged)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--streams", type=int, default=64, help="clients, and places in the pipeline")
    parser.add_argument("--stages", type=int, default=2)
    parser.add_argument("--model", default="tiny", help="tiny (a llama whose every token is a word), a lab model, or a directory")
    parser.add_argument("--questions", type=int, default=200, help="how many different ones; each has a lone run to be computed")
    parser.add_argument("--longest", type=int, default=128, help="tokens of the longest answers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: told to end"))  # with the servers that were started
    report = soak(options)
    if options.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        report.print()
    return 0 if report.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
