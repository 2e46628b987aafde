"""The echo engine: the worker's side of the protocol over real sockets, with an echo where the model would be.

Rank 0 answers a prompt with the prompt's own tokens, then the end mark: deterministic, and no MLX. `Lever`s let a test
hold tokens back. Ranks above 0 only say hello, beat and are ready, which is all the gateway ever sees of them.
"""

import asyncio
import contextlib
import itertools

import zmq
import zmq.asyncio

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
    Submit,
    Token,
    decode_from_gateway,
    encode,
)

BEAT_S = 0.05
_PIDS = itertools.count(1)


class EchoWorker:
    """One rank. `async with` connects it; leaving the block is sudden, as a killed process is."""

    def __init__(self, rank, control, keys, gateway_key, *, layers=(0, 4), mac="studio", held=False, greets=True):
        self.rank = rank
        self.layers = layers
        self.mac = mac
        self._greets = greets  # False: it never gets as far as loading its weights
        self.pid = next(_PIDS)
        self.epoch = 0
        self.submits = []
        self.work = None
        self.cancelled = set()
        self.go = asyncio.Event()  # tokens flow while it is set
        if not held:
            self.go.set()
        self.step_s = 0.0
        self.fail_next = None
        self._tasks = set()
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.curve_publickey, self._socket.curve_secretkey = keys
        self._socket.curve_serverkey = gateway_key
        self._socket.connect(control)

    async def __aenter__(self):
        if self._greets:
            await self.hello()
        self._start(self._listen())
        self.beating = self._start(self._beat())
        return self

    async def __aexit__(self, *_):
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._context.destroy(linger=0)

    async def hello(self):
        await self.say(
            Hello(
                rank=self.rank,
                mac=self.mac,
                pid=self.pid,
                version="echo",
                kind="tcp",
                data_endpoint=f"tcp://127.0.0.1:{5000 + self.rank}",
                data_public_key=None,
                first_layer=self.layers[0],
                last_layer=self.layers[1],
            )
        )

    async def leave(self):
        self.beating.cancel()
        await self.say(Leaving(rank=self.rank))

    async def break_(self, error):
        await self.say(Broken(rank=self.rank, epoch=self.epoch, error=error))

    async def say(self, message):
        await self._socket.send(encode(message))

    def freeze(self):
        """Silent, as a stopped process is, without losing its connection."""
        self.go.clear()
        self.beating.cancel()

    def _start(self, work):
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _beat(self):
        while True:
            await self.say(Heartbeat(rank=self.rank, pid=self.pid, epoch=self.epoch, active=0, busy_s=None, rss_bytes=1, work=self.work))
            await asyncio.sleep(BEAT_S)

    async def _listen(self):
        while True:
            match decode_from_gateway(await self._socket.recv()):
                case Assemble(epoch=epoch):
                    self.epoch = epoch
                    await self.say(Ready(rank=self.rank, epoch=epoch))
                case Reset(epoch=epoch):
                    self.epoch = epoch
                case Submit() as submit:
                    self.submits.append(submit)
                    self._start(self._echo(submit))
                case Cancel(request=request):
                    self.cancelled.add(request)

    async def _echo(self, submit):
        if self.fail_next is not None:
            await self.say(Failed(request=submit.request, epoch=submit.epoch, error=self.fail_next))
            self.fail_next = None
            return
        tokens = [*submit.prompt, submit.eos[0]]
        for index, token in enumerate(tokens[: submit.max_tokens]):
            await self.go.wait()
            if submit.epoch != self.epoch or submit.request in self.cancelled:
                return
            finished = "stop" if token in submit.eos else "length" if index + 1 == submit.max_tokens else None
            wanted = submit.sampling.logprobs
            scores = {} if wanted is None else {"logprob": -float(index), "top_logprobs": ((token, -float(index)),) * min(wanted, 1)}
            await self.say(Token(request=submit.request, epoch=submit.epoch, index=index, token=token, finished=finished, **scores))
            await asyncio.sleep(self.step_s)
            if finished:
                return


@contextlib.contextmanager
def ending(process):
    """A process that does not outlive its test."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()
