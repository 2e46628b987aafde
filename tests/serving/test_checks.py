"""The checks know which runtime this controller would install."""

import json

from macfleet.core.fact import Facts
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Settings
from macfleet.macos.runtime import runtime, starters
from macfleet.serving.checks import checks_of_this_controller
from macfleet.serving.wheel import read_bundle
from tests.macos.recordings import answer

MAC = Mac("studio-1", "10.0.0.1", "Mac16,9", 64 * 2**30, settings=Settings(runtime={"python": "3.12"}))


def judged(installed):
    (check,) = (check for check in checks_of_this_controller() if check.name == "runtime")
    fact = runtime(MAC.paths)
    (finding,) = check.judge(MAC, Facts({fact: answer(fact, json.dumps(installed.as_json()), ""), starters(MAC.paths): {}}))
    return finding.verdict.value


def test_a_runtime_that_this_controller_made_is_as_wanted():
    assert judged(read_bundle().runtime("3.12")) == "ok"


def test_one_that_an_older_checkout_of_the_same_version_made_is_not():
    mine = read_bundle()
    older = type(mine)(mine.lock, mine.wheel_name, mine.wheel.replace(b"previous_public_key", b"following_public_ke"))

    assert older.runtime("3.12").macfleet == mine.runtime("3.12").macfleet
    assert judged(older.runtime("3.12")) == "fail"


def test_the_sources_are_packed_once_in_a_run():
    assert checks_of_this_controller() is checks_of_this_controller()
