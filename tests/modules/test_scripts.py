"""The few scripts that modules run, in a real `sh`, against programs of a few lines that behave as the real ones were seen to."""

import hashlib
import os
import subprocess
from dataclasses import replace

import pytest

from macfleet.macos import brew, defaults, files, ifconfig, networksetup
from macfleet.macos.files import FileState
from macfleet.modules.job import enter, leave, run
from macfleet.modules.line import LineArgs, _change
from macfleet.modules.runtime import RuntimeArgs, _empty, _uv
from tests.modules.memory_mac import MAC, MemoryMac
from tests.modules.play import plan

# Each answer is one line of answers/VERB, "EXIT_STATUS text"; the last one is repeated.
PROGRAM = """#!/bin/sh
echo "$*" >>"$ANSWERS/calls"
file="$ANSWERS/$1"
[ -f "$file" ] || exit 0
line=$(head -n 1 "$file")
[ "$(wc -l <"$file")" -gt 1 ] && { tail -n +2 "$file" >"$file.rest"; mv "$file.rest" "$file"; }
printf '%b\\n' "${line#* }"
exit "${line%% *}"
"""
RUNNING, WAITING = r"0 system/x = {\n\tstate = running\n\tpid = 7\n}", r"0 system/x = {\n\tstate = spawn scheduled\n\truns = 3\n}"
NESTED = r"0 system/x = {\n\tstate = not running\n\t\tstate = running\n}"


@pytest.fixture
def act(tmp_path):
    """Run a command without its sudo, with these answers; gives the ended process and the calls of the program."""

    def do(command, program="launchctl", **answers):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / program).write_text(PROGRAM)
        (tmp_path / "bin" / program).chmod(0o755)
        for verb, lines in answers.items():
            (tmp_path / verb).write_text("".join(f"{line}\n" for line in lines))
        stdin = command.stdin.reveal() if command.stdin else ""
        environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "ANSWERS": str(tmp_path)}
        ended = subprocess.run(command.argv, input=stdin, env=environment, capture_output=True, text=True, timeout=30, check=False)
        return ended, (tmp_path / "calls").read_text().splitlines()

    return do


def test_leaving_waits_until_launchd_has_forgotten_the_job(act):
    ended, calls = act(leave("x"), bootout=["36 in progress"], print=["0 there", "0 there", "113 gone"])

    assert ended.returncode == 0
    assert calls == ["bootout system/x", "print system/x", "print system/x", "print system/x"]


def test_a_job_that_was_not_there_has_left(act):
    assert act(leave("x"), bootout=["3 No such process"], print=["113 gone"])[0].returncode == 0


def test_a_job_that_does_not_leave_is_an_error(act):
    ended, _ = act(leave("x", deadline_s=0.5), print=["0 there"])

    assert ended.returncode == 1
    assert "launchd still has x after bootout" in ended.stderr


def test_entering_tries_again_while_launchd_is_busy(act):
    ended, calls = act(enter("/x.plist"), bootstrap=["37 in progress", "5 Input/output error", "0 ok"])

    assert ended.returncode == 0
    assert len(calls) == 3


def test_a_refusal_that_is_not_business_is_final(act):
    ended, calls = act(enter("/x.plist"), bootstrap=["119 disabled"])

    assert ended.returncode == 119
    assert len(calls) == 1


def test_a_job_is_up_when_it_stays_up(act):
    ended, calls = act(run("x", "/x.log"), print=[RUNNING, WAITING, RUNNING])

    assert ended.returncode == 0
    assert len(calls) == 1 + 2 + 4


def test_a_state_inside_a_nested_block_is_not_the_jobs(act):
    assert act(run("x", "/x.log", deadline_s=1), print=[NESTED])[0].returncode == 1


def test_a_job_that_does_not_stay_up_says_its_state_and_its_log(act):
    ended, _ = act(run("x", "/var/log/x.log", deadline_s=1), print=[WAITING])

    assert "x does not stay up: state = spawn scheduled runs = 3" in ended.stderr
    assert "/var/log/x.log" in ended.stderr


@pytest.mark.parametrize("status", [0, 1])
def test_the_auth_key_is_gone_however_the_join_ended(act, tmp_path, status):
    mac = replace(MAC, root=str(tmp_path))
    (tmp_path / "var/db/macfleet").mkdir(parents=True)
    [(_, change)] = plan(MemoryMac(), "tailscale: {hostname: x, auth_key: {env: KEY}}", mac=mac).changes

    ended, calls = act(change.commands[0], program="tailscale", up=[f"{status} said"])

    assert ended.returncode == status
    assert "tskey" not in str(calls)
    assert not (tmp_path / "var/db/macfleet/tailscale-key").exists()


def test_a_copy_is_kept_once_and_put_back_whole(act, tmp_path):
    path, kept = tmp_path / "motd", tmp_path / "before" / "x"
    path.write_text("first")
    for command in files.keep_copy(str(path), str(kept)):
        subprocess.run(command.argv, check=True)
    path.write_text("second")
    for command in (*files.keep_copy(str(path), str(kept)), *files.put_back(str(path), str(kept), f"{os.getuid()}:{os.getgid()}")):
        subprocess.run(command.argv, check=True)

    assert path.read_text() == "first"
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(os.listdir(tmp_path)) == ["before", "motd"]


def test_a_link_is_put_back_as_a_link(tmp_path):
    path, kept = tmp_path / "motd", tmp_path / "before" / "x"
    path.symlink_to("/nowhere")
    for command in files.keep_copy(str(path), str(kept)):
        subprocess.run(command.argv, check=True)
    path.unlink()
    path.write_text("ours")

    for command in files.put_back(str(path), str(kept), f"{os.getuid()}:{os.getgid()}"):
        subprocess.run(command.argv, check=True)

    assert os.readlink(path) == "/nowhere"


def test_a_copy_that_could_not_be_kept_whole_is_none_and_an_error(tmp_path):
    (tmp_path / "before").mkdir()
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    keep = files.keep_copy(str(tmp_path / "large"), str(tmp_path / "before/x"))[-1]

    ended = subprocess.run(["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *keep.argv], check=False, capture_output=True)

    assert os.listdir(tmp_path / "before") == []
    assert ended.returncode == 1


def test_where_nothing_is_nothing_is_kept(tmp_path):
    for command in files.keep_copy(str(tmp_path / "motd"), str(tmp_path / "before/x")):
        subprocess.run(command.argv, check=True)

    assert os.listdir(tmp_path / "before") == []


def test_a_directory_goes_only_when_it_is_empty(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)

    for path in (tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b", tmp_path / "never"):
        subprocess.run(files.remove_if_empty(str(path)).argv, check=True)

    assert os.listdir(tmp_path / "a") == []


def test_all_in_a_directory_goes_and_the_directory_stays(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_text("x")

    for path in (tmp_path / "a", tmp_path / "never"):
        subprocess.run(_empty(str(path)).argv, check=True)

    assert os.listdir(tmp_path / "a") == []


@pytest.mark.parametrize(
    ("command", "program", "answers", "calls"),
    [
        (ifconfig.add_bridge_member("en2", "bridge0"), "ifconfig", {"bridge0": ["0 there"]}, ["bridge0", "bridge0 addm en2"]),
        (ifconfig.add_bridge_member("en2", "bridge0"), "ifconfig", {"bridge0": [r"0 \tmember: en2 flags=3"]}, ["bridge0"]),
        (ifconfig.add_bridge_member("en2", "bridge0"), "ifconfig", {"bridge0": ["1 does not exist"]}, ["bridge0"]),
        (ifconfig.bridge_up("bridge0"), "ifconfig", {"bridge0": ["1 does not exist"]}, ["bridge0"]),
        (ifconfig.bridge_up("bridge0"), "ifconfig", {"bridge0": ["0 there"]}, ["bridge0", "bridge0 up"]),
        (networksetup.remove_service("A B"), "networksetup", {"-getinfo": ["4 no"]}, ["-getinfo A B"]),
        (networksetup.remove_service("A B"), "networksetup", {}, ["-getinfo A B", "-removenetworkservice A B"]),
        (defaults.delete("x", "k"), "defaults", {"read": ["1 does not exist"]}, ["read x k"]),
        (defaults.delete("x", "k"), "defaults", {}, ["read x k", "delete x k"]),
    ],
)
def test_what_is_done_already_is_not_done_again(act, command, program, answers, calls):
    ended, made = act(command, program=program, **answers)

    assert ended.returncode == 0, ended.stderr
    assert made == calls


def test_a_formula_that_is_gone_is_not_uninstalled_again(act, tmp_path):
    ended, calls = act(brew.uninstall("uv"), program="brew", **{"--prefix": [f"0 {tmp_path}"]})

    assert ended.returncode == 0
    assert not any("uninstall" in call for call in calls)


def test_a_formula_that_is_there_is_uninstalled(act, tmp_path):
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/uv").symlink_to("../Cellar/uv")

    _, calls = act(brew.uninstall("uv"), program="brew", **{"--prefix": [f"0 {tmp_path}"]})

    assert calls[-1] == "uninstall --formula uv"


@pytest.fixture
def line(tmp_path):
    """Do a `line` task to a real file, let somebody write there, take it back; gives what is in the file then."""

    def story(text, task, somebody=lambda text: text):
        path = tmp_path / "etc"
        owner = f"{os.getuid()}:{os.getgid()}"
        if text is not None:
            path.write_text(text)
            path.chmod(0o640)
        args = LineArgs(path=str(path), **task)
        digest = hashlib.sha256((text or "").encode()).hexdigest()
        have = None if text is None else FileState(0o640, *owner.split(":"), len(text), digest)
        change = _change(replace(MAC, root=str(tmp_path)), args, have, text, args.edited(text or ""), ())
        for command in change.commands:
            words = [owner if word == "root:wheel" else word for word in command.argv]
            subprocess.run(words, input=command.stdin, check=True)
        path.write_text(somebody(path.read_text()))
        for command in (*change.undo, *change.undo):
            subprocess.run([owner if word == "root:wheel" else word for word in command.argv], check=True)
        assert not (tmp_path / "etc.macfleet-new").exists()
        return path.read_text() if path.exists() else None

    return story


PLAIN, INSTEAD = {"line": "b"}, {"line": "b", "instead_of": "^#b"}
GONE = {"line": "b", "state": "absent"}


@pytest.mark.parametrize(
    ("text", "task"), [("a\n", PLAIN), ("a", PLAIN), ("a\n#b 1\nc\n#b 2\n", INSTEAD), ("b\na\n", GONE), (None, PLAIN), ("", PLAIN)]
)
def test_a_line_is_taken_back_to_the_last_byte(line, text, task):
    assert line(text, task) == text


@pytest.mark.parametrize(
    ("text", "task", "left"),
    [
        ("a\n", PLAIN, "a\nmine\n"),
        ("a\n#b 1\nc\n", INSTEAD, "a\n#b 1\nc\nmine\n"),
        ("a\n#b 1\nc\n#b 2\n", INSTEAD, "a\n#b 1\n#b 2\nc\nmine\n"),
        ("b\na\n", GONE, "a\nmine\nb\n"),
        (None, PLAIN, "mine\n"),
    ],
)
def test_what_somebody_wrote_there_since_stays(line, text, task, left):
    assert line(text, task, lambda text: text + "mine\n") == left


@pytest.mark.parametrize(("own", "used"), [("", "/opt/macfleet/python/cache"), ("/Users/x/cache", "/Users/x/cache")])
def test_the_cache_of_uv_is_ours_unless_the_user_has_one(tmp_path, own, used):
    (tmp_path / "uv").write_text('#!/bin/sh\necho "$UV_CACHE_DIR $*"\n')
    (tmp_path / "uv").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **({"UV_CACHE_DIR": own} if own else {})}

    ended = subprocess.run(
        _uv(MAC, RuntimeArgs(python="3.12"), "venv", "x", timeout_s=9).argv, env=environment, capture_output=True, text=True, check=True
    )

    assert ended.stdout.split() == [used, "venv", "x"]
