"""The workers' runtime: what a Mac says of the installed one, and which one its jobs are started from."""

import json
import plistlib

import pytest

from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.core.paths import MacPaths
from macfleet.macos.runtime import Broken, Bundle, Runtime, behind, complete, parse_runtime, parse_starters, runtime, starters
from tests.macos.recordings import answer

BUNDLE = Bundle(b"mlx==1\n", "macfleet_ops-0-py3-none-any.whl", b"wheel")
HERE = BUNDLE.runtime("3.12")
SAID = json.dumps(HERE.as_json())
NO_FILE = (1, "", "cat: /opt/macfleet/runtime/runtime.json: No such file or directory")


def plist(label, *arguments):
    return plistlib.dumps({"Label": label, "ProgramArguments": list(arguments)}).decode()


def test_what_provision_writes_is_what_is_read():
    assert parse_runtime(SAID) == HERE


@pytest.mark.parametrize(
    ("said", "started", "value"),
    [
        (SAID, "", HERE),
        (NO_FILE, (127, ""), None),
        (SAID, (126, "", "no Python"), Broken("`/opt/macfleet/runtime/bin/python -I -c 'import macfleet'` ended with 126: no Python")),
        ('{"schema": 2}', "", Broken("`runtime.json` answered in a form macfleet does not know: schema 2, not 1")),
    ],
)
def test_the_installed_runtime_is_there_broken_or_absent(said, started, value):
    assert answer(runtime(MacPaths()), said, started) == value


def test_a_runtime_that_may_not_be_read_is_unknown():
    assert isinstance(answer(runtime(MacPaths()), (1, "", "Permission denied"), ""), Unknown)


def test_runtimes_of_one_version_but_other_sources_differ_in_the_build():
    older = Bundle(BUNDLE.lock, BUNDLE.wheel_name, b"older").runtime("3.12")

    assert older.id != HERE.id
    assert older.difference(HERE) == "build of macfleet"
    assert HERE.difference(HERE) == ""


def test_a_job_names_the_runtime_it_is_started_from():
    text = plist("dev.macfleet.chat.worker", "/opt/macfleet/runtimes/0123456789ab/bin/python", "-m", "macfleet.worker")
    text += plist("dev.macfleet.wired-limit", "/usr/bin/env", "sysctl")

    assert parse_starters(text) == {"dev.macfleet.chat.worker": "0123456789ab"}
    assert answer(starters(MacPaths()), text) == {"dev.macfleet.chat.worker": "0123456789ab"}


@pytest.mark.parametrize("text", [plist("x")[:-20], plist("x").replace("array", "dict"), "cat: no such"])
def test_a_broken_plist_is_no_job_without_a_runtime(text):
    with pytest.raises(Unparsable):
        parse_starters(text)


def test_services_behind_are_named_once_and_macfleets_own_jobs_are_none():
    jobs = {
        "dev.macfleet.chat.worker": "old",
        "dev.macfleet.chat.gateway": "old",
        "dev.macfleet.code.worker": "new",
        "dev.macfleet.agent": "old",
    }

    assert behind(jobs, "new") == ("chat",)
    assert isinstance(HERE, Runtime)


def test_complete_runtimes_are_those_with_their_proof():
    said = "/opt/macfleet/runtimes/0123456789ab/runtime.json\n/opt/macfleet/runtimes/ba9876543210/runtime.json\n"
    none = (1, "", "find: /opt/macfleet/runtimes: No such file or directory")

    assert answer(complete(MacPaths()), said) == {"0123456789ab", "ba9876543210"}
    assert answer(complete(MacPaths()), none) == frozenset()
    assert isinstance(answer(complete(MacPaths()), (1, "", "Permission denied")), Unknown)
