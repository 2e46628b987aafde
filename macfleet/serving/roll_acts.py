"""What a rolling reboot does to a Mac and to the services on it, one action at a time, and what is seen then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from macfleet.core.errors import ConnectionDropped, HostKeyMismatch, HostKeyUnknown, MacfleetError, ServiceFailed, Unreachable
from macfleet.core.fact import Unknown
from macfleet.core.units import clock_time, format_duration
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.reach import Reach
from macfleet.inventory.mac import Mac
from macfleet.macos import shutdown, sysctl
from macfleet.serving import jobs
from macfleet.serving.canary import Canary, CanaryFailed, choose_canary, run_canary
from macfleet.serving.gateway import Gateway, open_gateway
from macfleet.serving.ready import refuse_other_weights
from macfleet.serving.roll_checks import failures, read_checks
from macfleet.serving.services import Deployed
from macfleet.serving.stop import stop_jobs_on
from macfleet.window.actions import Action, Did, Drain, Look, Observation, Problem, Reboot, Seen, Serve, Stop, Verified, Verify, awaited_by

Say = Callable[[str], None]


class RollActs:
    """Carries out actions on the Macs of `fleet`. What goes wrong is an observation, not an exception: `window` decides about it."""

    def __init__(self, fleet: Fleet, services: Mapping[str, Deployed], say: Say):
        self._fleet, self._services, self._say = fleet, services, say
        self._said: set[str] = set()
        self._awaited, self._wait = ("", ""), ExitStack()

    def carry_out(self, action: Action) -> Observation:
        """Only a wrong host key is raised: there is nothing to wait through, somebody must look."""
        try:
            self._await(action)
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
            raise
        except CanaryFailed as error:
            return Problem(str(error), is_final=True, truths=tuple(error.truths))
        except MacfleetError as error:
            return Problem(str(error), truths=tuple(error.truths))
        raise AssertionError(f"{action} is carried out by `run`")

    def close(self) -> None:
        """Nothing is awaited any more."""
        self._wait.close()

    def _look(self, action: Look) -> Seen:
        self.tell(f"{action.mac}: {action.doing}{_at_most(action.until)}")
        self._fleet.clock.sleep(action.wait_s)
        mac = self._mac(action.mac)
        self._fleet.forget(mac)
        try:
            boot = jobs.understand(self._fleet.connection(mac), sysctl.BOOT)
        except Unreachable as error:
            reach = Reach.of(error)  # raises for a wrong host key: nothing to wait through
            if reach is Reach.FILEVAULT_LOCKED:
                self.tell(f"{action.mac}: its disk is locked by FileVault; `ssh` to it with an account's password unlocks it")
            return Seen(reach.value, None, error.what)
        return Seen("up", None, boot.reason) if isinstance(boot, Unknown) else Seen("up", boot.session)

    def _drain(self, action: Drain) -> Observation:
        clock, began = self._fleet.clock, self._fleet.clock.monotonic()
        for service in self._of(action.services):
            self.tell(f"{service.name}: takes no new requests, finishes what runs (at most {format_duration(action.timeout_s)})")
            with self._gateway(service) as gateway:
                gateway.drain()
                while (health := gateway.health()).in_flight and clock.monotonic() - began < action.timeout_s:
                    clock.sleep(0.3)
            if health.in_flight:
                self.tell(f"{service.name}: {health.in_flight} requests did not finish in time and are broken off")
        return Did()

    def _stop(self, action: Stop) -> Observation:
        mac = self._mac(action.mac)
        connection = self._fleet.connection(mac)
        for service in self._of(action.services):
            stopped = stop_jobs_on(mac, connection, service, self._fleet.clock, action.timeout_s)
            self.tell(f"{mac.name}: {stopped.sentence()}")
        return Did()

    def _reboot(self, action: Reboot) -> Observation:
        """Compared and sent over one and the same connection: no other boot session can be behind it."""
        mac = self._mac(action.mac)
        connection = self._fleet.connection(mac)
        boot = jobs.understand(connection, sysctl.BOOT)
        if isinstance(boot, Unknown) or boot.session != action.boot_id:
            return Did()  # it restarts, or has restarted: waiting for another boot session tells
        self.tell(f"{mac.name}: restarting (boot session {action.boot_id})")
        try:
            result = connection.run([shutdown.restart()])[0]
        except ConnectionDropped:
            return Did()
        finally:
            self._fleet.forget(mac)
        return Did() if result.ok or result.exit_status is None else Problem(result.failure())

    def _verify(self, action: Verify) -> Observation:
        self.tell(f"{action.mac}: verifying")
        self._fleet.clock.sleep(action.wait_s)
        mac = self._mac(action.mac)
        report = read_checks(self._fleet, [mac])
        if (error := report[mac.name].error) is not None:
            self._fleet.forget(mac)
            return Problem(str(error))
        found = failures(self._fleet, mac, report)
        for failure in found:
            if failure.check not in action.known:
                self.tell(f"{mac.name}: {failure.check}: {failure.detail}; looking again{_at_most(action.until)}")
        return Verified(found)

    def _serve(self, action: Serve) -> Observation:
        self._fleet.clock.sleep(action.wait_s)
        for service in self._of(action.services):
            with self._gateway(service) as gateway:
                if gateway.health().state == "draining":
                    gateway.resume()
                health = gateway.health()
                if not health.is_ready:
                    self.tell(f"{service.name}: {health.sentence()}")
                    return Problem(f"{service.name} is {health.sentence()}")
                refuse_other_weights(service, health)
                self.tell(f"{service.name}: ready; asking the canary")
                passed = run_canary(gateway, *_canary_of(service))
                self.tell(f"{service.name}: answers again; canary: {passed.sentence}")
        return Did()

    def tell(self, text: str) -> None:
        """Once in each wait, however often it is polled."""
        if text not in self._said:
            self._said.add(text)
            self._say(text)

    def _await(self, action: Action) -> None:
        """The wait that is shown goes on as long as the same is awaited."""
        awaited = awaited_by(action)
        if awaited != self._awaited:
            self._wait.close()
            self._said.clear()
            self._awaited = awaited
            self._wait.enter_context(self._fleet.awaiting(*awaited))

    def _mac(self, name: str) -> Mac:
        return self._fleet.inventory.mac(name)

    def _of(self, names: Sequence[str]) -> list[Deployed]:
        missing = [name for name in names if name not in self._services]
        if missing:
            raise ServiceFailed(f"nothing is known of the service {missing[0]} any more", hint="deploy it again, then --resume")
        return [self._services[name] for name in names]

    @contextmanager
    def _gateway(self, service: Deployed) -> Iterator[Gateway]:
        head = self._mac(service.head)
        try:
            connection = self._fleet.connection(head)
        except Unreachable:
            self._fleet.forget(head)  # so that the next look is a new attempt
            raise
        with open_gateway(head, connection, service) as gateway:
            yield gateway


def _canary_of(service: Deployed) -> tuple[Canary, str]:
    """What was asked at the deployment, and the answer then; a macfleet of another day may ask otherwise."""
    if service.canary_prompt:
        return Canary("same-twice", service.canary_prompt, service.canary_max_tokens), service.canary_answer
    return choose_canary(sum(stage.weight_bytes for stage in service.stages), service.context_tokens), ""


def _at_most(until: float | None) -> str:
    return f", until {clock_time(until)} at most" if until else ""
