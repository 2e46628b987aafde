import pytest

from macfleet.core.command import command
from macfleet.core.errors import Unparsable
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.core.secret import Secret


def test_a_secret_shows_in_no_text():
    secret = Secret("tskey-abc")

    assert "tskey" not in f"{secret} {secret!r} {command('tee', stdin=secret)!r}"
    assert secret.reveal() == "tskey-abc"


def test_a_command_is_quoted_once_and_asks_sudo_for_no_password():
    assert command("echo", "a b", "it's", sudo=True).shell() == "sudo -n echo 'a b' 'it'\"'\"'s'"


def test_a_command_without_exit_status_failed_and_says_why():
    result = Result(command("ibv_devinfo"), None, reason="did not end within 10 s")

    assert not result.ok
    assert result.failure() == "`ibv_devinfo` did not end within 10 s"


def raise_unparsable(results):
    raise Unparsable("no header")


def test_an_answer_nobody_understands_is_unknown_with_its_reason():
    fact = Fact("memory", (command("vm_stat"),), raise_unparsable)

    value = Facts.understand({fact: [Result(fact.commands[0], 0, "?")]})[fact]

    assert value == Unknown("no header")


def test_asking_for_a_fact_that_was_not_read_is_a_bug():
    fact = Fact("memory", (command("vm_stat"),), lambda results: 1)

    with pytest.raises(KeyError):
        Facts({})[fact]


def test_every_path_is_below_the_macs_root():
    assert MacPaths("/tmp/lab/studio-1").plist("dev.macfleet.agent") == "/tmp/lab/studio-1/Library/LaunchDaemons/dev.macfleet.agent.plist"
    assert MacPaths().runtime == "/opt/macfleet/runtime"
