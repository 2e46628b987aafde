import plistlib
from dataclasses import replace
from pathlib import Path

import pytest

from macfleet.core.change import Change
from macfleet.core.clock import HandClock
from macfleet.core.errors import ConnectionDropped, LockHeld, Unreachable
from macfleet.core.secret import Secret
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Inventory
from macfleet.inventory.settings import Settings, Strict
from macfleet.macos.pmset import CUSTOM, set_power
from macfleet.playbook.load import load_playbook
from macfleet.serving.materials import Materials, read_playbook, read_templates
from macfleet.serving.provision import Provisioning
from macfleet.serving.provision_report import applied, planned
from tests.modules.memory_mac import MAC
from tests.modules.play import BUNDLE
from tests.serving.ledger_mac import LedgerMac

SETTINGS = Settings.model_validate({"wired_limit": "56 GiB", "tailscale": {"enabled": True, "auth_key": {"env": "TS_AUTHKEY"}}})
ONE = replace(MAC, settings=SETTINGS)
TWO = replace(MAC, name="studio-2", address="10.0.0.2", settings=SETTINGS)
PLAYBOOK = read_playbook()


class Lines:
    """Lines to Macs in memory; a Mac that is not there cannot be reached."""

    def __init__(self, **macs):
        self.macs = {name.replace("_", "-"): mac for name, mac in macs.items()}

    def __call__(self, mac, ssh, hear):
        if mac.name not in self.macs:
            raise Unreachable(f"{mac.name} does not answer", mac=mac.name)
        return self.macs[mac.name]


def pair():
    """Two Macs as shipped, one cable between their first ports."""
    return LedgerMac(name="HERE", peers={1: "THERE-1"}, tailnet="NoDaemon"), LedgerMac(
        name="THERE", peers={1: "HERE-1"}, tailnet="NoDaemon"
    )


def provisioning(lines, macs=(ONE, TWO), playbook=PLAYBOOK, **options):
    fleet = Fleet(Inventory(Path("/x/inventory.yaml"), "x", (ONE, TWO)), macs, connect=lines, clock=HandClock())
    materials = Materials(read_templates(), BUNDLE, lambda source: Secret("tskey-hidden"))
    return Provisioning(fleet, playbook, materials, **options)


def run(lines, **options):
    made = provisioning(lines, **options)
    return applied(made.apply(made.plan()))


def changes(report, mac):
    return [change.line() for found in report.macs if found.mac == mac for _, change in found.changes]


def test_a_fresh_mac_is_provisioned_and_then_nothing_differs():
    lines = Lines(studio_1=pair()[0], studio_2=pair()[1])

    first, second = run(lines), planned(provisioning(lines).plan())

    assert [mac.outcome for mac in first.macs] == ["changed", "changed"], [mac.error for mac in first.macs]
    assert [mac.outcome for mac in second.macs] == ["ok", "ok"]
    assert second.sentence() == "2 Macs as wanted in 0.0 s: nothing to change"


def test_a_second_run_writes_nothing():
    one, two = pair()
    run(Lines(studio_1=one, studio_2=two))
    one.log.clear()

    report = run(Lines(studio_1=one, studio_2=two))

    assert one.log == []
    assert report.exit_code == 0


def test_a_plan_reads_and_writes_nothing():
    one, two = pair()
    before = repr(one)

    report = planned(provisioning(Lines(studio_1=one, studio_2=two)).plan())

    assert repr(one) == before
    assert report.exit_code == 1
    assert "sysctl iogpu.wired_limit_mb 0 → 57344" in changes(report, "studio-1")


def test_a_plan_tells_the_lines_of_a_file_that_would_change():
    one, two = pair()

    report = planned(provisioning(Lines(studio_1=one, studio_2=two), playbook=PLAYBOOK.tagged(["logs"])).plan()).as_json()

    (conf,) = [change for change in report["macs"][0]["changes"] if change["what"] == "file /etc/newsyslog.d/macfleet.conf"]
    assert conf["detail"].startswith("--- /dev/null\n+++ /etc/newsyslog.d/macfleet.conf\n@@")


def test_both_ends_of_a_cable_get_their_addresses():
    one, two = pair()

    run(Lines(studio_1=one, studio_2=two))

    assert one.services["macfleet Thunderbolt 1"]["ip"] == "10.55.0.1"
    assert two.services["macfleet Thunderbolt 1"]["ip"] == "10.55.0.2"


def test_a_single_mac_gets_the_address_it_would_get_among_all():
    one, two = pair()

    report = run(Lines(studio_1=one, studio_2=two), macs=(TWO,))

    assert [mac.mac for mac in report.macs] == ["studio-2"]
    assert two.services["macfleet Thunderbolt 1"]["ip"] == "10.55.0.2"
    assert one.log == []


def test_a_dead_mac_stops_no_neighbour():
    one, _ = pair()

    report = run(Lines(studio_1=one))

    assert [mac.outcome for mac in report.macs] == ["changed", "unreachable"]
    assert report.exit_code == 3
    assert report.macs[0].notes[0][1].startswith("studio-1 Thunderbolt 1 leads to a Mac that did not answer")


def test_a_failing_change_stops_its_mac_only_and_says_what_is_true():
    one, two = pair()
    two.jobs_that_fail.add("dev.macfleet.agent")

    report = run(Lines(studio_1=one, studio_2=two))

    assert [mac.outcome for mac in report.macs] == ["changed", "failed"]
    error = report.macs[1].error
    assert error.what.startswith("studio-2: launchd dev.macfleet.agent: ")
    assert any(truth.startswith("done: the first ") and truth.endswith("changes of its plan, up to runtime") for truth in error.truths)
    assert "pmset sleep 1 → 0" in changes(report, "studio-2")
    assert error.truths[-1] == "launchd dev.macfleet.agent was absent, and may be half changed now"


def test_how_far_a_mac_came_is_known_to_whoever_interrupts():
    one, two = pair()
    two.jobs_that_fail.add("dev.macfleet.agent")
    made = provisioning(Lines(studio_1=one, studio_2=two))
    plans = made.plan()

    made.apply(plans)

    count = len(plans["studio-2"].value.changes)
    sentence, lines = made.so_far()["studio-2"]
    assert sentence == (f"studio-2: {count - 1} of {count} changes made; launchd dev.macfleet.agent was under way and may be half changed")
    assert len(lines) == count - 1


def test_a_change_that_fails_on_a_full_disk_says_that_it_is_full():
    one, two = pair()
    one.broken, two.broken, one.free_kib = {"uv"}, {"uv"}, 100 << 10

    full, roomy = (mac.error for mac in run(Lines(studio_1=one, studio_2=two)).macs)

    assert full.truths[0] == "its disk has 100 MiB of 400 GiB free"
    assert "remove models that no service uses" in full.hint
    assert (roomy.hint, "free" in " ".join(roomy.truths)) == (None, False)


def test_what_was_not_begun_is_named():
    one, two = pair()
    one.jobs_that_fail.add("dev.macfleet.agent")
    one.broken.add("uv")

    report = run(Lines(studio_1=one, studio_2=two))

    assert report.macs[0].error.truths[-1] == "not begun: launchd dev.macfleet.agent"


def test_a_line_that_drops_says_in_which_change():
    one, two = pair()
    one.drops_at = "tailscale up"

    report = run(Lines(studio_1=one, studio_2=two))

    assert report.macs[0].outcome == "unreachable"
    assert isinstance(report.macs[0].error, ConnectionDropped)
    assert "tailscale was NoDaemon, and may be half changed now" in report.macs[0].error.truths


def test_without_homebrew_the_rest_up_to_it_is_done_and_the_reason_is_said():
    one, two = pair()
    one.has_brew = False

    report = run(Lines(studio_1=one, studio_2=two))

    assert report.macs[0].outcome == "failed"
    assert report.macs[0].error.what.startswith("Homebrew is not installed, and uv would come from it")
    assert len(report.macs[0].error.truths) < 5
    assert report.sentence() == "1 Mac changed, 1 failed in 0.0 s"
    assert "pmset sleep 1 → 0" in changes(report, "studio-1")
    assert not any(line.startswith("runtime ") for line in changes(report, "studio-1"))


def test_sudo_that_asks_is_said_before_anything_is_done():
    one, two = pair()
    one.sudo_asks = True

    report = run(Lines(studio_1=one, studio_2=two))

    assert "sudo asks for a password" in report.macs[0].error.what
    assert report.macs[0].error.hint.endswith('NOPASSWD: ALL" | sudo tee /etc/sudoers.d/macfleet')
    assert one.log == []


def test_a_machine_that_is_no_mac_is_not_touched_and_its_neighbour_is():
    box, two = pair()
    box.kernel = "Linux"

    report = run(Lines(studio_1=box, studio_2=two))

    assert report.macs[0].error.what == "10.0.0.1 is a Linux machine, not the Mac studio-1: nothing was changed there"
    assert box.log == []
    assert two.log != []


def test_a_mac_that_changed_since_its_plan_was_shown_is_left_alone():
    one, two = pair()
    made = provisioning(Lines(studio_1=one, studio_2=two))
    run(Lines(studio_1=one, studio_2=two))
    plans = made.plan()
    one.pmset["sleep"] = "5"
    two.pmset["sleep"] = "5"

    report = applied(made.apply(made.plan()))
    assert [mac.outcome for mac in report.macs] == ["changed", "changed"]

    one.pmset["sleep"] = "5"
    shown_before = made.plan()
    one.sysctls["iogpu.wired_limit_mb"] = "0"
    report = applied(made.apply(shown_before))

    assert plans.ok
    assert "differs in other things than when its plan was shown" in report.macs[0].error.what
    assert one.pmset["sleep"] == "5"


def test_a_change_that_changes_nothing_is_a_failure_not_a_success():
    one, two = pair()
    one.forgets_pmset = True

    report = run(Lines(studio_1=one, studio_2=two))

    assert report.macs[0].outcome == "failed"
    assert "every change was made without an error, and still the Mac differs" in report.macs[0].error.what
    assert any("pmset sleep 1 → 0 is still wanted" in truth for truth in report.macs[0].error.truths)


def test_a_program_that_a_change_brings_is_asked_in_the_next_round():
    one, two = pair()
    one.tailnet = "NotInstalled"

    report = run(Lines(studio_1=one, studio_2=two))

    assert report.macs[0].outcome == "changed"
    assert one.tailnet == "Running"


def test_no_secret_is_in_a_report():
    one, two = pair()

    report = run(Lines(studio_1=one, studio_2=two))

    assert one.secrets_seen == ["tskey-hidden"]
    assert "tskey" not in str(report.as_json())


@pytest.mark.parametrize("tag", PLAYBOOK.tags)
def test_every_job_of_a_tag_finds_the_directory_of_its_log(tag):
    one, two = pair()

    run(Lines(studio_1=one, studio_2=two), playbook=PLAYBOOK.tagged([tag]))

    logs = [plistlib.loads(job["plist"]).get("StandardErrorPath", "/") for job in one.jobs.values()]
    assert [log for log in logs if str(Path(log).parent) not in {"/", *one.files}] == []


@pytest.mark.parametrize("tag", PLAYBOOK.tags)
def test_the_tasks_of_one_tag_stand_on_their_own(tag):
    one, two = pair()
    one.files |= {"/opt/homebrew/opt/uv": one.files["/opt/homebrew"], "/opt/homebrew/opt/tailscale": one.files["/opt/homebrew"]}

    report = run(Lines(studio_1=one, studio_2=two), playbook=PLAYBOOK.tagged([tag]))

    assert report.macs[0].error is None


def test_k_changes_cost_two_round_trips_more():
    one, two = pair()
    made = provisioning(Lines(studio_1=one, studio_2=two))

    report = applied(made.apply(made.plan()))

    assert report.macs[0].outcome == "changed"
    assert len(one.trips) == 2 + len(report.macs[0].changes)
    assert one.heard == ["taken", "released"]


def test_changes_that_others_bring_to_light_cost_no_more():
    one, two = pair()
    one.tailnet = "NotInstalled"

    report = run(Lines(studio_1=one, studio_2=two))

    assert report.macs[0].outcome == "changed"
    assert len(one.trips) == 2 + len(report.macs[0].changes)
    assert one.heard[-1] == "released"


def test_a_mac_that_agrees_costs_one_round_trip_and_is_not_locked():
    one, two = pair()
    run(Lines(studio_1=one, studio_2=two))
    one.trips.clear()
    one.heard.clear()

    run(Lines(studio_1=one, studio_2=two))

    assert one.trips == ["read"]
    assert one.heard == []


def test_each_change_is_written_down_before_it_is_made():
    one, two = pair()
    one.broken.add("pmset")  # it can be read, and not be written

    report = run(Lines(studio_1=one, studio_2=two), playbook=PLAYBOOK.tagged(["updates", "wired-limit"]))

    assert report.macs[0].error is None
    assert [entry.what for entry in one.entries()] == [change.what for _, change in report.macs[0].changes if change.undo]
    assert {entry.by for entry in one.entries()} == {"provision"}


def test_what_cannot_be_written_down_is_not_done():
    one, two = pair()
    one.is_full = True

    report = run(Lines(studio_1=one, studio_2=two))

    assert report.macs[0].outcome == "failed"
    assert "could not be written down first, so it was not begun" in report.macs[0].error.what
    assert "No space left on device" in report.macs[0].error.what
    assert not any("may be half changed" in truth for truth in report.macs[0].error.truths)
    assert one.pmset["sleep"] == "1"
    assert one.lock is None


def test_the_lock_is_given_back_when_a_change_fails():
    one, two = pair()
    two.jobs_that_fail.add("dev.macfleet.agent")

    run(Lines(studio_1=one, studio_2=two))

    assert (one.lock, two.lock) == (None, None)


def test_who_is_locked_out_changes_nothing_anywhere():
    one, two = pair()
    two.lock = b"{}"
    made = provisioning(Lines(studio_1=one, studio_2=two))

    with pytest.raises(LockHeld):
        made.apply(made.plan())

    assert one.pmset["sleep"] == "1"
    assert one.lock is None


def test_a_mac_that_cannot_be_locked_for_a_reason_of_its_own_stops_no_neighbour():
    one, two = pair()
    one.cannot_lock = True

    report = run(Lines(studio_1=one, studio_2=two))

    assert [mac.outcome for mac in report.macs] == ["failed", "changed"]
    assert "No space left on device" in report.macs[0].error.what
    assert one.pmset["sleep"] == "1"


BATCHES = """
serial: {serial}
max_failures: {allowed}
tasks:
  - name: It stays awake
    notify: [The motd tells of it]
    pmset: {{sleep: 0}}
handlers:
  - name: The motd tells of it
    file: {{path: /etc/motd, content: awake}}
"""


def batches(serial=1, allowed=0):
    return load_playbook(BATCHES.format(serial=serial, allowed=allowed), "batches.yaml")


def test_no_further_batch_begins_when_too_many_macs_failed():
    one, two = pair()
    one.forgets_pmset = True

    report = run(Lines(studio_1=one, studio_2=two), playbook=batches())

    assert [mac.outcome for mac in report.macs] == ["failed", "not begun"]
    assert "studio-2 was not begun: 1 Mac before it failed" in report.macs[1].error.what
    assert two.trips == ["read"]
    assert report.exit_code == 3


def test_a_failure_that_is_allowed_stops_no_batch():
    one, two = pair()
    one.forgets_pmset = True

    report = run(Lines(studio_1=one, studio_2=two), playbook=batches(allowed=1))

    assert [mac.outcome for mac in report.macs] == ["failed", "changed"]


def test_a_mac_is_locked_while_its_batch_is_under_way():
    one, two = pair()
    heard = one.heard = two.heard = []

    run(Lines(studio_1=one, studio_2=two), playbook=batches())

    assert heard == ["taken", "released", "taken", "released"]


def test_a_mac_that_cannot_be_reached_counts_as_failed():
    _, two = pair()

    report = run(Lines(studio_2=two), playbook=batches())

    assert [mac.outcome for mac in report.macs] == ["unreachable", "not begun"]


def test_a_handler_runs_behind_the_task_that_woke_it_and_on_a_mac_that_agrees_not_at_all():
    one, two = pair()
    two.pmset["sleep"] = "0"

    report = run(Lines(studio_1=one, studio_2=two), playbook=batches(serial=2))

    assert [change.what for _, change in report.macs[0].changes] == ["pmset sleep", "file /etc/motd"]
    assert report.macs[1].outcome == "ok"
    assert "/etc/motd" not in two.files


class Stairs:
    """A module whose second change shows only when the first is made."""

    name, looks_around, example, Args = "stairs", (), "stairs:", Strict

    def facts(self, args, mac):
        return (CUSTOM,)

    def diff(self, args, mac, facts, around):
        step = {"1": "5", "5": "0"}.get(have := facts[CUSTOM].ac["sleep"])
        return (Change("pmset sleep", have, step, (set_power({"sleep": step}),)),) if step else ()


STAIRS = load_playbook("tasks: [{name: Down the stairs, stairs: }]", "stairs.yaml", modules=(Stairs(),))


def test_a_second_round_takes_the_mac_again_in_the_trip_of_its_first_change():
    one, two = pair()

    report = run(Lines(studio_1=one, studio_2=two), playbook=STAIRS)

    assert changes(report, "studio-1") == ["pmset sleep 1 → 5", "pmset sleep 5 → 0"]
    assert one.heard == ["taken", "released", "taken", "released"]
    assert one.trips == ["read", "run", "apply", "apply"]


def test_a_mac_that_somebody_took_between_two_rounds_is_left_to_them():
    one, two = pair()
    one.is_wanted_by_another = True

    report = run(Lines(studio_1=one, studio_2=two), playbook=STAIRS)

    assert "somebody else began to change this Mac between two rounds" in report.macs[0].error.what
    assert report.macs[0].error.truths == ("done: pmset sleep 1 → 5", "not begun: pmset sleep")
    assert one.pmset["sleep"] == "5"
    assert one.lock == b'{"token": "of somebody else"}'
