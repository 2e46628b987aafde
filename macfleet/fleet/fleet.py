"""Many Macs at once: one thread and one connection for each, one Outcome for each, and none waits for another."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from macfleet.core.clock import Clock
from macfleet.core.command import Command
from macfleet.core.errors import MacfleetError, Unreachable
from macfleet.core.fact import Fact, Facts
from macfleet.core.outcome import Outcome, Report
from macfleet.core.result import Result
from macfleet.fleet.clock import SystemClock
from macfleet.fleet.connection import Connection
from macfleet.fleet.open_files import allow_for
from macfleet.fleet.reach import Reach
from macfleet.inventory.mac import Inventory, Mac, SshSettings

T = TypeVar("T")
Connect = Callable[[Mac, SshSettings, Callable[[Result], None]], Connection]

WIND_UP_S = 3.0  # after Ctrl-C, how long the threads may take to notice that their channels are closed


class Observer(Protocol):
    """Hears what happens while it happens. Never called by two threads at once."""

    def started(self, mac: str, doing: str) -> None: ...
    def result(self, mac: str, result: Result) -> None: ...
    def finished(self, mac: str, outcome: Outcome[Any]) -> None: ...


class Fleet:
    """The one doer. A context manager: at its end every connection is closed, also after Ctrl-C.

    A connection is opened when first needed and kept. A Mac that could not be reached is not tried again in this run (one dead
    Mac costs one connect timeout, not one per phase) until `forget` says that something has changed.
    """

    def __init__(
        self,
        inventory: Inventory,
        macs: Sequence[Mac],
        *,
        connect: Connect | None = None,
        clock: Clock | None = None,
        observer: Observer | None = None,
    ):
        self.inventory = inventory
        self.macs = tuple(macs)
        self.clock: Clock = clock or SystemClock()
        if connect is None:
            allow_for(len(inventory.macs))
        self._connect = connect or _SshConnect()
        self._observer = observer
        self._observing = threading.Lock()
        self._desks = {mac.name: _Desk() for mac in inventory.macs}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for desk in self._desks.values():
            desk.close()

    def each(self, work: Callable[[Mac, Connection], T], *, macs: Sequence[Mac] | None = None, doing: str = "") -> Report[T]:
        """`work` on every Mac side by side; a MacfleetError becomes the Mac's Outcome, any other exception is a bug and is raised.

        Raised as well: a RequestError of the connections themselves. A key file that is not there is no Mac's fault.
        """
        chosen = self.macs if macs is None else tuple(macs)
        finished: queue.SimpleQueue[Outcome[T] | BaseException] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=self._work, args=(mac, work, doing, finished), name=f"fleet-{mac.name}", daemon=True) for mac in chosen
        ]
        outcomes: dict[str, Outcome[T]] = {}
        bug: BaseException | None = None
        try:
            for thread in threads:
                thread.start()
            for _ in threads:
                match finished.get():
                    case Outcome() as outcome:
                        outcomes[outcome.mac] = outcome
                    case BaseException() as error:
                        bug = bug or error
        except BaseException:
            self._abort(chosen, threads)
            raise
        if bug is not None:
            raise bug
        return Report(tuple(outcomes[mac.name] for mac in chosen))

    def read(self, wanted: Callable[[Mac], Sequence[Fact[Any]]], *, macs: Sequence[Mac] | None = None) -> Report[Facts]:
        """Every wanted fact of every Mac, in one trip per Mac. The same question, or the same command in two questions, is asked once."""
        return self.each(lambda mac, connection: read_facts(connection, wanted(mac)), macs=macs, doing="reading")

    def connection(self, mac: Mac) -> Connection:
        """The open connection to this Mac, made now if there is none. Raises Unreachable."""
        return self._desks[mac.name].connection(lambda: self._connect(mac, self.inventory.ssh, self._hearing(mac)))

    def is_dialling(self, mac: Mac) -> bool:
        """Whether somebody waits for this Mac to take a connection, which nothing can hurry."""
        return self._desks[mac.name].is_dialling

    @contextlib.contextmanager
    def awaiting(self, who: str, doing: str) -> Iterator[None]:
        """The observer hears that `who` (a service, a Mac that is away) is waited for, where `each` has nothing to run."""
        self._observe(lambda observer: observer.started(who, doing))
        try:
            yield
        finally:
            self._observe(lambda observer: observer.finished(who, Outcome(who)))

    def forget(self, mac: Mac) -> None:
        """Drop the connection, or the memory that there is none: after a reboot, or before another attempt."""
        self._desks[mac.name].forget()

    def probe(self, mac: Mac, *, timeout_s: float = 5.0) -> Reach:
        """Whether the Mac answers now, by a connection of its own. A changed host key is an error here too, never an answer."""
        try:
            self._connect(mac, replace(self.inventory.ssh, connect_timeout_s=timeout_s), lambda result: None).close()
        except Unreachable as error:
            return Reach.of(error)
        return Reach.UP

    def _work(self, mac: Mac, work: Callable[[Mac, Connection], T], doing: str, finished: queue.SimpleQueue[Any]) -> None:
        start = self.clock.monotonic()
        try:
            self._observe(lambda observer: observer.started(mac.name, doing))
            outcome = self._outcome(mac, work, start)
            self._observe(lambda observer: observer.finished(mac.name, outcome))
            finished.put(outcome)
        except BaseException as bug:
            finished.put(bug)

    def _outcome(self, mac: Mac, work: Callable[[Mac, Connection], T], start: float) -> Outcome[T]:
        failure: MacfleetError
        try:
            connection = self.connection(mac)  # a RequestError of this is raised: no Mac's fault
        except Unreachable as error:
            failure = error
        else:
            try:
                return Outcome(mac.name, value=work(mac, connection), duration_s=self.clock.monotonic() - start)
            except MacfleetError as error:
                failure = error
        failure.mac = failure.mac or mac.name
        return Outcome[T](mac.name, error=failure, duration_s=self.clock.monotonic() - start)

    def _hearing(self, mac: Mac) -> Callable[[Result], None]:
        return lambda result: self._observe(lambda observer: observer.result(mac.name, result))

    def _observe(self, say: Callable[[Observer], None]) -> None:
        if self._observer is not None:
            with self._observing:
                say(self._observer)

    def _abort(self, macs: Sequence[Mac], threads: Sequence[threading.Thread]) -> None:
        """Stop what runs on the Macs and keep the lines: who cleans up behind us (the fleet lock) still needs them."""
        for mac in macs:
            self._desks[mac.name].abort()
        deadline = time.monotonic() + WIND_UP_S
        for mac, thread in zip(macs, threads, strict=True):
            if thread.ident is not None and not self.is_dialling(mac):
                thread.join(max(0.0, deadline - time.monotonic()))


def read_facts(connection: Connection, facts: Sequence[Fact[Any]]) -> Facts:
    """These facts of one Mac, in one trip; each command is asked once, whoever wants it."""
    commands = questions(facts)
    return understand(facts, connection.read(commands))


def questions(facts: Sequence[Fact[Any]]) -> list[Command]:
    """Every command of these facts, each once."""
    return list(dict.fromkeys(command for fact in facts for command in fact.commands))


def understand(facts: Sequence[Fact[Any]], results: Sequence[Result]) -> Facts:
    """What the answers to `questions(facts)` mean."""
    answers = dict(zip(questions(facts), results, strict=True))
    return Facts.understand({fact: [answers[command] for command in fact.commands] for fact in facts})


class _SshConnect:
    """The default way to a Mac. The SSH library is loaded, and the configuration read, when the first Mac is called."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dialers: dict[SshSettings, Any] = {}

    def __call__(self, mac: Mac, ssh: SshSettings, on_result: Callable[[Result], None]) -> Connection:
        with self._lock:
            if ssh not in self._dialers:
                from macfleet.fleet.ssh import Dialer

                self._dialers[ssh] = Dialer(ssh)
        connection: Connection = self._dialers[ssh].open(mac, on_result=on_result)
        return connection


class _Desk:
    """One Mac's connection, or the reason why there is none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._failure: Unreachable | None = None

    def connection(self, connect: Callable[[], Connection]) -> Connection:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._connection is None or not getattr(self._connection, "is_open", True):
                try:
                    self._connection = connect()
                except Unreachable as error:
                    self._failure = error
                    raise
            return self._connection

    @property
    def is_dialling(self) -> bool:
        return self._lock.locked()

    def forget(self) -> None:
        with self._lock:
            connection, self._connection, self._failure = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def abort(self) -> None:
        connection = self._connection  # without the lock: a thread may hold it while it dials a dead Mac
        if connection is not None:
            connection.abort()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()
