"""The rolling reboot from its preflight to its end: `window` decides, `roll_acts` does, what was decided is on disk before it is done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from macfleet.core.errors import Interrupted, MacfleetError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.journal import Journal
from macfleet.inventory.mac import Mac
from macfleet.macos import fdesetup, sudo
from macfleet.serving import jobs
from macfleet.serving.gateway import open_gateway
from macfleet.serving.roll_acts import RollActs
from macfleet.serving.roll_checks import failures, names, read_checks
from macfleet.serving.roll_file import RollFile
from macfleet.serving.services import Deployed, read_services, services_on
from macfleet.serving.status import read_health
from macfleet.serving.stop import labels_on
from macfleet.window.actions import Finished, Observation, Stand
from macfleet.window.next_action import next_action, resume
from macfleet.window.preflight import Before, preflight
from macfleet.window.roll import Halt, MacRoll, Roll, RollOptions, Step

Say = Callable[[str], None]


class Roller:
    """Carries out one roll. The caller holds the fleet lock."""

    def __init__(self, fleet: Fleet, file: RollFile, journal: Journal, services: Mapping[str, Deployed], say: Say = lambda text: None):
        self._fleet, self._file, self._journal, self._services = fleet, file, journal, services
        self._acts = RollActs(fleet, services, say)

    def run(self, roll: Roll) -> Roll:
        """Until every Mac is done. Raises MacfleetError at the first that is not, with what is true now; `--resume` goes on there."""
        try:
            return self._run(roll)
        finally:
            self._acts.close()

    def _run(self, roll: Roll) -> Roll:
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
                    raise halted(replace(halt, truths=(*halt.truths, *self._services_now(roll))))
            observation = self._acts.carry_out(action)

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
                self._names_on(mac.name),
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

    def _look_before(self, macs: Sequence[Mac]) -> tuple[list[Before], dict[str, tuple[str, ...]]]:
        report = read_checks(self._fleet, macs, sudo.PASSWORDLESS, fdesetup.STATUS)
        seen = [
            Before(outcome.mac, unreachable=outcome.error.what if outcome.error else "unknown")
            if outcome.value is None
            else Before(outcome.mac, "", _known(outcome.value, sudo.PASSWORDLESS), _known(outcome.value, fdesetup.STATUS))
            for outcome in (report[mac.name] for mac in macs)
        ]
        return seen, {mac.name: names(failures(self._fleet, mac, report)) for mac in macs if report[mac.name].ok}

    def _services_now(self, roll: Roll) -> tuple[str, ...]:
        """How the services of the Mac at which the roll stands are, where their gateway can be asked."""
        here = roll.current.services if roll.current else ()
        healths = {name: read_health(self._fleet, self._services[name]) for name in here if name in self._services}
        return tuple(f"{name} is {health.sentence()}" for name, health in healths.items() if health.state != "unknown")

    def _names_on(self, mac: str) -> tuple[str, ...]:
        return tuple(service.name for service in services_on(mac, self._services.values()))

    def _mac(self, name: str) -> Mac:
        return self._fleet.inventory.mac(name)

    def _record(self, before: Roll, after: Roll) -> None:
        for old, new in zip(before.macs, after.macs, strict=True):
            if old.step is not new.step:
                self._journal.write("roll", mac=new.name, step=new.step.value, boot_before=new.boot_before, boot_after=new.boot_after)
                if new.step is Step.DONE:
                    self._acts.tell(f"{new.name}: done (boot session {new.boot_before} → {new.boot_after})")
        if after.halt is not None and before.halt is None:
            self._journal.write("roll-halted", mac=after.halt.mac, what=after.halt.what, truths=list(after.halt.truths))


def abandon(fleet: Fleet, file: RollFile, roll: Roll | None, services: Mapping[str, Deployed]) -> tuple[str, ...]:
    """Forget the roll; what it had stopped is started again, what it had drained takes requests again. One sentence each.

    `roll` None: its state is damaged, and only the drained gateways can be found. The caller holds the fleet lock.
    """
    left = []
    for entry in roll.macs if roll else ():
        if entry.step not in (Step.PENDING, Step.DONE):
            left.append(f"{entry.name} stood at {entry.step.value}")
            left += _start_again(fleet, entry, services)
    for service in services.values():
        with suppress(MacfleetError):
            head = fleet.inventory.mac(service.head)
            with open_gateway(head, fleet.connection(head), service) as gateway:
                if gateway.health().state == "draining":
                    gateway.resume()
                    left.append(f"{service.name} takes requests again")
    file.remove()
    return tuple(left)


def _start_again(fleet: Fleet, entry: MacRoll, services: Mapping[str, Deployed]) -> list[str]:
    """The jobs of a Mac that were booted out for a reboot that did not come."""
    done = []
    try:
        mac = fleet.inventory.mac(entry.name)
        connection = fleet.connection(mac)
        for service in services_on(mac.name, services.values()):
            for label in labels_on(mac.name, service):
                if jobs.load_again(connection, label, mac.paths.plist(label), fleet.clock):
                    done.append(f"{mac.name}: {label} is started again")
    except MacfleetError as error:
        done.append(f"{entry.name}: nobody knows whether its jobs run: {error.what}; `macfleet status` tells when it answers")
    return done


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


def read_for_roll(fleet: Fleet, remembered: Mapping[str, Deployed]) -> dict[str, Deployed]:
    """The deployed services, as any Mac of theirs tells of them; of those of an earlier run the ones whose Macs are all away now."""
    services, report = read_services(fleet)
    silent = set(report.errors())
    away = {name: service for name, service in remembered.items() if silent.issuperset(service.macs)}
    return {**away, **services}


def _known(facts: Facts, fact: Fact[bool]) -> bool | None:
    value = facts[fact]
    return None if isinstance(value, Unknown) else value
