"""homebrew, tailscale, runtime: programs that come from elsewhere."""

import plistlib
from dataclasses import replace

import pytest

from macfleet.core.errors import PlaybookError, RequestError
from tests.modules.memory_mac import MAC, Entry, MemoryMac
from tests.modules.play import AROUND, BUNDLE, plan, play

BREW = "homebrew: {formulae: [uv, tailscale]}"
TAILSCALE = "tailscale: {hostname: studio-1, auth_key: {env: KEY}, tags: [tag:llm], ssh: true}"
RUNTIME = 'runtime: {python: "3.12"}'


def test_only_missing_formulae_are_installed():
    memory = MemoryMac()
    memory.files["/opt/homebrew/opt/uv"] = Entry("../Cellar/uv")

    assert play(memory, BREW)[0] == ["homebrew tailscale absent → installed"]


def test_homebrew_of_another_user_runs_as_that_user():
    memory = MemoryMac()
    memory.files["/opt/homebrew"] = Entry(None, "755", "anna", "admin")

    play(memory, "homebrew: {formulae: [uv]}")

    assert "as anna" in memory.log


def test_homebrew_is_never_run_as_root():
    assert not [command for _, change in plan(MemoryMac(), BREW).changes for command in change.commands if command.sudo]


def test_without_homebrew_nobody_pretends():
    made = plan(MemoryMac(has_brew=False), BREW)

    assert not made.changes
    assert made.unknown[0][1].reason == "Homebrew is not installed, and uv and tailscale would come from it: see https://brew.sh"


def test_what_is_installed_needs_no_homebrew():
    memory = MemoryMac(has_brew=False)
    memory.files |= {"/opt/homebrew/opt/uv": Entry("x"), "/opt/homebrew/opt/tailscale": Entry("x")}

    assert plan(memory, BREW).is_as_wanted


def test_the_auth_key_travels_by_stdin_into_a_file_that_is_gone_afterwards():
    [(_, change)] = plan(MemoryMac(), TAILSCALE).changes

    [command] = change.commands
    assert command.sudo
    assert command.stdin.reveal() == "tskey-hidden"
    assert "--auth-key=file:/var/db/macfleet/tailscale-key" in command.argv
    assert "trap 'rm -f \"$0\"' EXIT" in command.argv[2]
    assert "--advertise-tags=tag:llm" in command.argv


def test_a_mac_in_the_tailnet_needs_no_key():
    def locked(source):
        raise AssertionError("nobody should unlock a vault")

    assert plan(in_the_tailnet(), TAILSCALE, around=replace(AROUND, secret=locked)).is_as_wanted


def in_the_tailnet():
    return MemoryMac(tailnet="Running", tailnet_settings={"Hostname": "studio-1", "RunSSH": True})


def test_a_setting_that_somebody_changed_is_set_again_and_nothing_else_is_touched():
    memory = in_the_tailnet()
    memory.tailnet_settings["RunSSH"] = False

    done, left = play(memory, TAILSCALE)

    assert done == ["tailscale settings studio-1, without ssh → studio-1, with ssh"]
    assert "sudo -n tailscale set --hostname=studio-1 --ssh=true --accept-risk=lose-ssh" in memory.log
    assert left.is_as_wanted


def test_tags_of_a_mac_that_has_joined_are_the_administrators():
    [(_, reason)] = plan(in_the_tailnet(), TAILSCALE).unsupported

    assert reason.reason.startswith("tailscale: no tags instead of tag:llm: change that in the admin console")


@pytest.mark.parametrize(("before", "undo"), [("NeedsLogin", "tailscale logout"), ("Stopped", "tailscale down")])
def test_a_mac_that_joined_leaves_as_it_was(before, undo):
    [(_, change)] = plan(MemoryMac(tailnet=before), TAILSCALE).changes

    assert [undo in str(command) for command in change.undo] == [True]


def test_without_an_auth_key_a_mac_cannot_join():
    with pytest.raises(RequestError, match="studio-1 is not in the tailnet and the inventory names no auth key"):
        plan(MemoryMac(), "tailscale: {hostname: studio-1}")


def test_a_daemon_that_is_not_there_is_started_first():
    assert play(MemoryMac(tailnet="NoDaemon"), TAILSCALE)[0] == ["tailscale daemon NoDaemon → started", "tailscale NoDaemon → Running"]


def test_a_runtime_is_linked_only_when_it_is_whole():
    [(_, change)] = plan(MemoryMac(), RUNTIME).changes

    programs = [" ".join(command.argv) for command in change.commands]
    assert programs[-2].startswith("ln -sfn /opt/macfleet/runtimes/")
    assert "runtime.json" in programs[-3]
    assert any("--require-hashes" in program for program in programs)
    assert any("--no-deps" in program for program in programs)


def test_the_wheel_and_the_lock_travel_by_stdin():
    [(_, change)] = plan(MemoryMac(), RUNTIME).changes

    assert {command.stdin for command in change.commands} >= {BUNDLE.lock, BUNDLE.wheel}


def test_another_lock_is_another_runtime():
    memory = MemoryMac()
    play(memory, RUNTIME)
    newer = replace(AROUND, bundle=replace(BUNDLE, lock=b"mlx==2\n"))

    [(_, change)] = plan(memory, RUNTIME, around=newer).changes

    assert change.before.startswith(BUNDLE.id("3.12"))
    assert change.after.startswith(newer.bundle.id("3.12"))


def test_the_runtime_before_stays_and_older_ones_go():
    memory, ids = MemoryMac(), []
    for lock in (b"1", b"2", b"3"):
        around = replace(AROUND, bundle=replace(BUNDLE, lock=lock))
        play(memory, RUNTIME, around=around)
        ids.append(around.bundle.id("3.12"))

    there = {path.split("/")[4] for path in memory.files if path.startswith("/opt/macfleet/runtimes/")}

    assert there == set(ids[1:])


def test_a_runtime_that_a_job_is_started_from_stays_however_old():
    memory, ids = MemoryMac(), []
    for lock in (b"1", b"2", b"3", b"4"):
        around = replace(AROUND, bundle=replace(BUNDLE, lock=lock))
        play(memory, RUNTIME, around=around)
        ids.append(around.bundle.id("3.12"))
        if lock == b"1":
            memory.files["/Library/LaunchDaemons/dev.macfleet.chat.worker.plist"] = Entry(a_plist("dev.macfleet.chat.worker", ids[0]))

    there = {path.split("/")[4] for path in memory.files if path.startswith("/opt/macfleet/runtimes/")}

    assert there == {ids[0], ids[2], ids[3]}


def test_the_plan_says_which_services_go_on_with_the_runtime_they_have():
    memory = MemoryMac()
    memory.files |= {
        f"/Library/LaunchDaemons/{label}.plist": Entry(a_plist(label, "0123456789ab"))
        for label in ("dev.macfleet.chat.worker", "dev.macfleet.chat.gateway", "dev.macfleet.code.worker", "dev.macfleet.agent")
    }

    [(_, change)] = plan(memory, RUNTIME).changes

    assert change.after == f"{BUNDLE.runtime('3.12')}; chat, code: as before until deployed again"


def test_a_runtime_that_was_made_before_is_linked_again_and_not_made_again():
    memory = MemoryMac()
    for bundle in (BUNDLE, replace(BUNDLE, lock=b"newer")):
        play(memory, RUNTIME, around=replace(AROUND, bundle=bundle))

    [(_, change)] = plan(memory, RUNTIME).changes

    assert [command.argv[0] for command in change.commands] == ["ln", "find"]
    assert play(memory, RUNTIME)[1].is_as_wanted


def test_a_broken_runtime_is_made_again_where_it_stands():
    memory = MemoryMac()
    play(memory, RUNTIME)
    memory.broken.add("/opt/macfleet/runtime/bin/python")

    [(_, change)] = plan(memory, RUNTIME).changes

    assert "--clear" in change.commands[0].argv


def test_where_the_jobs_cannot_be_read_no_runtime_is_removed():
    memory = MemoryMac()
    memory.files["/Library/LaunchDaemons/dev.macfleet.chat.worker.plist"] = Entry(b"<?xml cut")

    [(_, change)] = plan(memory, RUNTIME).changes

    assert not any(command.argv[0] == "find" for command in change.commands)


def a_plist(label, runtime_id):
    return plistlib.dumps({"Label": label, "ProgramArguments": [f"/opt/macfleet/runtimes/{runtime_id}/bin/python", "-m", "macfleet"]})


def test_a_runtime_whose_python_does_not_start_is_broken():
    memory = MemoryMac()
    play(memory, RUNTIME)
    memory.broken.add("/opt/macfleet/runtime/bin/python")

    [(_, change)] = plan(memory, RUNTIME).changes

    assert change.before.startswith("broken (")


def test_without_a_bundle_there_is_nothing_to_install():
    with pytest.raises(RequestError, match="brought no runtime along"):
        plan(MemoryMac(), RUNTIME, mac=MAC, around=replace(AROUND, bundle=None))


def test_packages_may_come_from_a_wheelhouse_and_nowhere_else():
    [(_, change)] = plan(
        MemoryMac(), 'runtime: {python: "3.12", wheelhouse: /Volumes/Stick/wheels, python_mirror: "file:///Volumes/Stick"}'
    ).changes

    sync = next(command.argv for command in change.commands if "sync" in command.argv)
    assert sync[sync.index("--no-index") : sync.index("--no-index") + 3] == ("--no-index", "--find-links", "/Volumes/Stick/wheels")
    assert "--require-hashes" in sync
    assert "--index-strategy" not in sync
    assert "UV_PYTHON_INSTALL_MIRROR=file:///Volumes/Stick" in change.commands[0].argv


@pytest.mark.parametrize("wrong", ["wheelhouse: wheels", "python_mirror: /Volumes/Stick"])
def test_a_place_that_no_mac_could_find_is_refused(wrong):
    with pytest.raises(PlaybookError, match=r"x\.yaml:"):
        plan(MemoryMac(), f'runtime: {{python: "3.12", {wrong}}}')


def test_a_mac_without_homebrew_may_have_a_uv_of_its_own():
    [(_, change)] = plan(MemoryMac(), 'runtime: {python: "3.12", uv: /usr/local/bin/uv}').changes

    assert {command.argv[command.argv.index("-c") + 3] for command in change.commands if command.argv[0] == "env"} == {"/usr/local/bin/uv"}


def test_a_newer_runtime_is_taken_back_to_the_one_before():
    memory = MemoryMac()
    play(memory, RUNTIME)
    newer = replace(AROUND, bundle=replace(BUNDLE, lock=b"mlx==2\n"))
    [(_, change)] = plan(memory, RUNTIME, around=newer).changes
    memory.apply(change.commands)

    memory.apply(change.undo)

    assert plan(memory, RUNTIME).is_as_wanted


def test_a_tap_is_not_part_of_the_name_of_what_is_installed():
    memory = MemoryMac()
    memory.files["/opt/homebrew/opt/smctl"] = Entry("../Cellar/smctl")

    assert plan(memory, "homebrew: {formulae: [hashicorp/tap/smctl]}").is_as_wanted
