"""A driver that plays the gateway over the real protocol, and gangs of real worker processes for it."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from macfleet.engines.protocol import (
    Assemble,
    Broken,
    Cancel,
    Failed,
    Heartbeat,
    Hello,
    Leaving,
    Ready,
    Reset,
    Sampling,
    Submit,
    Token,
    decode_from_worker,
    encode,
)
from macfleet.worker.config import load_config
from macfleet.worker.control import Control
from macfleet.worker.process import Computing
from macfleet.worker.zap import ZAP_DOMAIN, Doorkeeper

DEADLINE_S = 60.0


def keypair():
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


@dataclass
class Answer:
    tokens: list[int] = field(default_factory=list)
    messages: list[Token] = field(default_factory=list)
    finished: str | None = None
    error: str | None = None

    @property
    def is_over(self):
        return self.finished is not None or self.error is not None


class Gang:
    """Workers of one service, each with its own threads, keys and sockets; the cuts [0, 3, 6] make two stages of three layers.

    In one process, because importing mlx_lm takes seconds; `ProcessGang` has a process for each.
    """

    def __init__(self, directory: Path, model_dir: Path, cuts, *, kind="tcp", extra=None):
        self.directory, self.model_dir, self.cuts = directory, Path(model_dir), list(cuts)
        self.world = len(cuts) - 1
        self.kind, self.extra = kind, extra or {}
        self.workers = {}
        self.identities, self.hellos, self.ready, self.beats = {}, {}, set(), {}
        self.broken, self.left = [], []
        self.answers = defaultdict(Answer)
        self.epoch = 0
        self._count = 0
        self.keys = [keypair() for _ in range(self.world)]
        self.public, self.secret = keypair()
        self.control = "tcp://127.0.0.1:*"
        self._listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for rank in self.workers:
            self.end(rank)
        self.router.close()
        self.context.term()

    def _listen(self):
        self.context = zmq.Context()
        Doorkeeper(self.context).allow(public for public, _ in self.keys)
        self.router = self.context.socket(zmq.ROUTER)
        self.router.linger = 0
        self.router.curve_server = True
        self.router.zap_domain = ZAP_DOMAIN
        self.router.curve_publickey, self.router.curve_secretkey = self.public.encode(), self.secret.encode()
        self.router.bind(self.control)
        self.control = self.router.last_endpoint.decode()

    def restart_gateway(self):
        """As a process that was killed and came back: it knows nobody, and listens where it did."""
        self.router.close()
        self.context.term()
        self.hellos.clear()
        self._listen()

    # --- workers

    def start(self, *ranks):
        for rank in ranks or range(self.world):
            self.workers[rank] = self._start(self.config_file(rank))
        return self

    def _start(self, file):
        return ThreadedWorker(file)

    def end(self, rank):
        self.workers[rank].end()

    def log(self, rank):
        return ""

    def config_file(self, rank):
        public, secret = self.keys[rank]
        config = {
            "service": "test",
            "mac": f"studio-{rank + 1}",
            "rank": rank,
            "world": self.world,
            "model_dir": str(self.model_dir),
            "first_layer": self.cuts[rank],
            "last_layer": self.cuts[rank + 1],
            "kind": self.kind,
            "control": self.control,
            "public_key": public,
            "secret_key": secret,
            "gateway_public_key": self.public,
            "context_tokens": 512,
            "heartbeat_file": str(self.directory / f"heartbeat-{rank}.json"),
            **self.extra,
        }
        file = self.directory / f"worker-{rank}.json"
        file.write_text(json.dumps(config))
        return file

    # --- the gateway's part

    def assemble(self):
        """Wait for every rank, begin an epoch, wait until every link is proved."""
        self.wait(lambda: len(self.hellos) == self.world, "hello from every rank")
        self.epoch += 1
        self.ready.clear()
        for rank in range(self.world):
            self.tell(rank, self.assemble_message(rank))
        self.wait(lambda: len(self.ready) == self.world, "ready from every rank")
        return self

    def assemble_message(self, rank):
        if self.world == 1 or self.kind != "tcp":
            return Assemble(epoch=self.epoch)
        following = self.hellos[(rank + 1) % self.world]
        previous = self.keys[(rank - 1) % self.world][0]
        return Assemble(
            epoch=self.epoch, next_endpoint=following.data_endpoint, next_public_key=following.data_public_key, previous_public_key=previous
        )

    def tell(self, rank, message):
        self.router.send_multipart([self.identities[rank], encode(message)])

    def reset(self):
        self.epoch += 1
        for rank in self.identities:
            self.tell(rank, Reset(epoch=self.epoch))

    def submit(self, prompt, max_tokens, *, eos=(), request=None, **sampling):
        self._count += 1
        name = request or f"request-{self._count}"
        self.tell(
            0, Submit(request=name, epoch=self.epoch, prompt=tuple(prompt), max_tokens=max_tokens, eos=eos, sampling=Sampling(**sampling))
        )
        return name

    def cancel(self, request):
        self.tell(0, Cancel(request=request))

    def generate(self, prompt, max_tokens, **options):
        name = self.submit(prompt, max_tokens, **options)
        self.wait(lambda: self.answers[name].is_over, f"the end of {name}")
        assert self.answers[name].error is None, self.answers[name].error
        return self.answers[name].tokens

    def wait(self, condition, what, deadline_s=DEADLINE_S):
        deadline = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- rank {rank}\n{self.log(rank)[-2000:]}" for rank in self.workers)
                raise AssertionError(f"waited {deadline_s} s for {what}\n{logs}")
            if self.router.poll(50):
                identity, data = self.router.recv_multipart()
                self._hear(identity, decode_from_worker(data))

    def _hear(self, identity, message):
        match message:
            case Hello():
                self.identities[message.rank], self.hellos[message.rank] = identity, message
            case Ready() if message.epoch == self.epoch:
                self.ready.add(message.rank)
            case Heartbeat():
                self.beats[message.rank] = message
            case Token():
                answer = self.answers[message.request]
                assert message.index == len(answer.tokens)
                answer.tokens.append(message.token)
                answer.messages.append(message)
                answer.finished = message.finished
            case Failed():
                self.answers[message.request].error = message.error
            case Broken():
                self.broken.append(message)
            case Leaving():
                self.left.append(message.rank)
                self.hellos.pop(message.rank, None)


class ThreadedWorker:
    def __init__(self, file):
        config = load_config(file)
        self._computing = Computing(config)
        self._control = Control(config, self._computing.inbox.put)
        self._computing.start(self._control)
        self._thread = threading.Thread(target=self._control.run, args=(self._computing.status, self._computing.is_alive), daemon=True)
        self._thread.start()

    def end(self):
        self._control.stop()
        self._thread.join()
        self._computing.finish()
        self._control.close()


class ProcessGang(Gang):
    """Every worker as launchd starts it."""

    def _start(self, file):
        with file.with_suffix(".log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "macfleet.worker", str(file)], stdout=log, stderr=log)

    def end(self, rank):
        self.workers[rank].kill()
        self.workers[rank].wait()

    def signal(self, rank, number=signal.SIGTERM):
        self.workers[rank].send_signal(number)

    def log(self, rank):
        return (self.directory / f"worker-{rank}.log").read_text()
