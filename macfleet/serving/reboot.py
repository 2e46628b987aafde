"""The rolling reboot, carried out: `window` decides, this does, and what was decided is on disk before it is done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from macfleet.core.errors import (
    ConnectionDropped,
    HostKeyMismatch,
    HostKeyUnknown,
    Interrupted,
    MacfleetError,
    ServiceFailed,
    Unreachable,
)
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.units import clock_time, format_duration
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.journal import Journal
from macfleet.fleet.reach import Reach
from macfleet.inventory.mac import Mac
from macfleet.macos import fdesetup, shutdown, sudo, sysctl
from macfleet.serving import jobs
from macfleet.serving.canary import CanaryFailed, choose_canary, run_canary
from macfleet.serving.checks import checks_of_this_controller
from macfleet.serving.gateway import Gateway, open_gateway
from macfleet.serving.ready import refuse_other_weights
from macfleet.serving.roll_file import RollFile
from macfleet.serving.services import Deployed, read_services, services_on
from macfleet.serving.status import read_health
from macfleet.serving.stop import stop_jobs_on
from macfleet.window.actions import (
    Action,
    Did,
    Drain,
    Finished,
    Look,
    Observation,
    Problem,
    Reboot,
    Seen,
    Serve,
    Stand,
    Stop,
    Verified,
    Verify,
)
from macfleet.window.next_action import next_action, resume
from macfleet.window.preflight import Before, preflight
from macfleet.window.roll import Halt, MacRoll, Roll, RollOptions, Step

Say = Callable[[str], None]


class Roller:
    """Carries out one roll. The caller holds the fleet lock."""

    def __init__(self, fleet: Fleet, file: RollFile, journal: Journal, services: Mapping[str, Deployed], say: Say = lambda text: None):
        self._fleet, self._file, self._journal = fleet, file, journal
        self._services, self._say = services, say
        self._said = ""

    def run(self, roll: Roll) -> Roll:
        """Until every Mac is done. Raises MacfleetError at the first that is not, with what is true now; `--resume` goes on there."""
        observation: Observation | None = None
        before = roll
        while True:
            roll, action = next_action(roll, observation, self._fleet.clock.now())
            if roll != before:
                self._file.save(roll)
                self._record(before, roll)
                before = roll
            match action:
                case Finished():
                    self._file.remove()
                    return roll
                case Stand(halt):
                    raise halted(halt)
            observation = self._carry_out(action)

    def begin(self, macs: Sequence[Mac], options: RollOptions, accepted: Collection[str]) -> Roll:
        """A new roll over `macs`, refused as a whole (and kept, for --resume) when one of them could not come back."""
        roll = self.consider(macs, options, accepted)
        self._file.save_services(self._services)
        self._keep(roll)
        return roll

    def consider(self, macs: Sequence[Mac], options: RollOptions, accepted: Collection[str]) -> Roll:
        """What `begin` would begin with; nothing is written. Its `halt` says why it must not."""
        before, known_failures = self._look_before(macs)
        sick = {
            service.name: health.sentence()
            for service in self._services.values()
            if any(mac.name in service.macs for mac in macs) and not (health := read_health(self._fleet, service)).is_ready
        }
        now = self._fleet.clock.now()
        entries = tuple(
            MacRoll(
                mac.name,
                tuple(service.name for service in services_on(mac.name, self._services.values())),
                known_failures.get(mac.name, ()),
            )
            for mac in macs
        )
        return Roll(now, entries, options, preflight(before, sick, accepted, now))

    def go_on(self, roll: Roll, accepted: Collection[str]) -> Roll:
        """The roll to be picked up. Macs that were not touched yet are looked at again; the one it stood at answers for itself."""
        pending = [self._mac(mac.name) for mac in roll.macs if mac.step is Step.PENDING]
        before, known_failures = self._look_before(pending)
        halt = preflight(before, {}, accepted, self._fleet.clock.now())
        entries = tuple(
            replace(mac, services=self._names_on(mac.name), known_failures=known_failures.get(mac.name, ()))
            if mac.step is Step.PENDING
            else mac
            for mac in roll.macs
        )
        fresh = resume(replace(roll, macs=entries), self._fleet.clock.now())
        self._keep(replace(fresh, halt=halt))
        return replace(fresh, halt=halt)

    def _keep(self, roll: Roll) -> None:
        self._file.save(roll)
        if roll.halt is not None:
            raise halted(roll.halt)

    def _carry_out(self, action: Action) -> Observation:
        try:
            match action:
                case Look():
                    return self._look(action)
                case Drain():
                    return self._drain(action)
                case Stop():
                    return self._stop(action)
                case Reboot():
                    return self._reboot(action)
                case Verify():
                    return self._verify(action)
                case Serve():
                    return self._serve(action)
        except (HostKeyMismatch, HostKeyUnknown):
            raise  # nothing to wait through: somebody must look
        except CanaryFailed as error:
            return Problem(str(error), is_final=True)
        except MacfleetError as error:
            return Problem(str(error))
        raise AssertionError(f"{action} is carried out by `run`")

    def _look(self, action: Look) -> Seen:
        until = f", until {clock_time(action.until)} at most" if action.until else ""
        self._tell(f"{action.mac}: waiting for {action.awaited}{until}")
        self._fleet.clock.sleep(action.wait_s)
        mac = self._mac(action.mac)
        self._fleet.forget(mac)
        try:
            boot = jobs.understand(self._fleet.connection(mac), sysctl.BOOT)
        except Unreachable as error:
            reach = Reach.of(error)  # raises for a wrong host key: nothing to wait through
            if reach is Reach.FILEVAULT_LOCKED:
                self._tell(f"{action.mac}: its disk is locked by FileVault; `ssh` to it with an account's password unlocks it")
            return Seen(reach.value, None, error.what)
        return Seen("up", None, boot.reason) if isinstance(boot, Unknown) else Seen("up", boot.session)

    def _drain(self, action: Drain) -> Observation:
        clock, began = self._fleet.clock, self._fleet.clock.monotonic()
        for service in self._of(action.services):
            self._tell(f"{service.name}: takes no new requests, finishes what runs (at most {format_duration(action.timeout_s)})")
            with self._gateway(service) as gateway:
                gateway.drain()
                while (health := gateway.health()).in_flight and clock.monotonic() - began < action.timeout_s:
                    clock.sleep(0.3)
            if health.in_flight:
                self._tell(f"{service.name}: {health.in_flight} requests did not finish in time and are broken off")
        return Did()

    def _stop(self, action: Stop) -> Observation:
        mac = self._mac(action.mac)
        connection = self._fleet.connection(mac)
        for service in self._of(action.services):
            stopped = stop_jobs_on(mac, connection, service, self._fleet.clock, action.timeout_s)
            self._tell(f"{mac.name}: {stopped.sentence()}")
        return Did()

    def _reboot(self, action: Reboot) -> Observation:
        """Compared and sent over one and the same connection: no other boot session can be behind it."""
        mac = self._mac(action.mac)
        connection = self._fleet.connection(mac)
        boot = jobs.understand(connection, sysctl.BOOT)
        if isinstance(boot, Unknown) or boot.session != action.boot_id:
            return Did()  # it restarts, or has restarted: waiting for another boot session tells
        self._tell(f"{mac.name}: restarting (boot session {action.boot_id})")
        try:
            result = connection.run([shutdown.restart()])[0]
        except ConnectionDropped:
            return Did()
        finally:
            self._fleet.forget(mac)
        return Did() if result.ok or result.exit_status is None else Problem(result.failure())

    def _verify(self, action: Verify) -> Observation:
        self._tell(f"{action.mac}: verifying")
        self._fleet.clock.sleep(action.wait_s)
        mac = self._mac(action.mac)
        outcome = self._fleet.read(_check_facts, macs=[mac])[mac.name]
        if outcome.value is None:
            self._fleet.forget(mac)
            return Problem(str(outcome.error))
        return Verified(_failures(mac, outcome.value))

    def _serve(self, action: Serve) -> Observation:
        self._fleet.clock.sleep(action.wait_s)
        for service in self._of(action.services):
            with self._gateway(service) as gateway:
                if gateway.health().state == "draining":
                    gateway.resume()
                health = gateway.health()
                if not health.is_ready:
                    self._tell(f"{service.name}: {health.sentence()}")
                    return Problem(f"{service.name} is {health.sentence()}")
                refuse_other_weights(service, health)
                weight_bytes = sum(stage.weight_bytes for stage in service.stages)
                passed = run_canary(gateway, choose_canary(weight_bytes, service.context_tokens), service.canary_answer)
                self._tell(f"{service.name}: answers again; canary: {passed.sentence}")
        return Did()

    def _look_before(self, macs: Sequence[Mac]) -> tuple[list[Before], dict[str, tuple[str, ...]]]:
        report = self._fleet.read(lambda mac: (sudo.PASSWORDLESS, fdesetup.STATUS, *_check_facts(mac)), macs=macs)
        seen = [
            Before(outcome.mac, unreachable=outcome.error.what if outcome.error else "unknown")
            if outcome.value is None
            else Before(outcome.mac, "", _known(outcome.value, sudo.PASSWORDLESS), _known(outcome.value, fdesetup.STATUS))
            for outcome in report
        ]
        return seen, {name: _failures(self._mac(name), facts) for name, facts in report.values().items()}

    def _names_on(self, mac: str) -> tuple[str, ...]:
        return tuple(service.name for service in services_on(mac, self._services.values()))

    def _gateway(self, service: Deployed) -> Any:
        head = self._mac(service.head)
        return open_gateway(head, self._fleet.connection(head), service)

    def _mac(self, name: str) -> Mac:
        return self._fleet.inventory.mac(name)

    def _of(self, names: Sequence[str]) -> list[Deployed]:
        missing = [name for name in names if name not in self._services]
        if missing:
            raise ServiceFailed(f"nothing is known of the service {missing[0]} any more", hint="deploy it again, then --resume")
        return [self._services[name] for name in names]

    def _tell(self, text: str) -> None:
        """Once, however often it is polled."""
        if text != self._said:
            self._said = text
            self._say(text)

    def _record(self, before: Roll, after: Roll) -> None:
        for old, new in zip(before.macs, after.macs, strict=True):
            if old.step is not new.step:
                self._journal.write("roll", mac=new.name, step=new.step.value, boot_before=new.boot_before, boot_after=new.boot_after)
                if new.step is Step.DONE:
                    self._tell(f"{new.name}: done (boot session {new.boot_before} → {new.boot_after})")
        if after.halt is not None and before.halt is None:
            self._journal.write("roll-halted", mac=after.halt.mac, what=after.halt.what, truths=list(after.halt.truths))


def abandon(fleet: Fleet, file: RollFile, roll: Roll, services: Mapping[str, Deployed]) -> tuple[str, ...]:
    """Forget the roll; let drained gateways take requests again. What was left behind, one sentence each."""
    left = [f"{mac.name} stood at {mac.step.value}" for mac in roll.macs if mac.step not in (Step.PENDING, Step.DONE)]
    for service in services.values():
        with suppress(MacfleetError):
            head = fleet.inventory.mac(service.head)
            with open_gateway(head, fleet.connection(head), service) as gateway:
                _resume_if_draining(gateway)
    file.remove()
    return tuple(left)


def halted(halt: Halt) -> MacfleetError:
    return MacfleetError(halt.what, mac=halt.mac or None, truths=halt.truths, hint=halt.hint)


def interrupted(file: RollFile) -> Interrupted:
    """What an operator who pressed Ctrl-C is told: what is on disk is what --resume goes on with."""
    found = file.load()
    if found is None or all(mac.step is Step.PENDING for mac in found[0].macs):
        return Interrupted("interrupted before any Mac was restarted", hint="run the same command again")
    return Interrupted(
        "the rolling reboot was interrupted",
        truths=found[0].standing(),
        hint="`macfleet rolling-reboot --resume` goes on there, `--abandon` forgets it",
    )


def _resume_if_draining(gateway: Gateway) -> None:
    if gateway.health().state == "draining":
        gateway.resume()


def read_for_roll(fleet: Fleet, macs: Sequence[Mac], remembered: Mapping[str, Deployed]) -> dict[str, Deployed]:
    """The deployed services, those of an earlier run included. A silent Mac that is not to be rolled may be the head of one: refused."""
    services, report = read_services(fleet)
    silent = {name: error for name, error in report.errors().items() if name not in {mac.name for mac in macs}}
    if silent and not remembered:
        raise MacfleetError(
            f"the roll did not begin: {', '.join(silent)} does not answer, so nobody knows which services have their head there",
            truths=(*(f"{mac}: {error.what}" for mac, error in silent.items()), "no Mac was rebooted by this run"),
            hint="every Mac of the inventory must answer before a roll",
        )
    return {**remembered, **services}


def _check_facts(mac: Mac) -> list[Fact[Any]]:
    return [fact for check in checks_of_this_controller() for fact in check.facts(mac)]


def _failures(mac: Mac, facts: Facts) -> tuple[str, ...]:
    """Checks that fail or that nobody could judge."""
    return tuple(
        finding.check for check in checks_of_this_controller() for finding in check.judge(mac, facts) if not finding.verdict.is_as_wanted
    )


def _known(facts: Facts, fact: Fact[bool]) -> bool | None:
    value = facts[fact]
    return None if isinstance(value, Unknown) else value
