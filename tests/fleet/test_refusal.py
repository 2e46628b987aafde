"""What an operator reads when a Mac cannot be reached."""

import errno
import socket
from dataclasses import replace

import paramiko
import pytest

from macfleet.core.data import data_path
from macfleet.core.errors import AuthenticationFailed, ConnectionRefused, FileVaultLocked, HostKeyMismatch, Unreachable
from macfleet.fleet.reach import Reach
from macfleet.fleet.refusal import Refusal, Stage, explain, is_filevault_banner

REFUSAL = Refusal(
    mac="studio-2", place="10.0.0.2:22", user="admin", stage=Stage.TCP, error=TimeoutError("timed out"), took_s=10.0, timeout_s=10.0
)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (TimeoutError(), Unreachable, "10.0.0.2:22 does not answer; gave up after 10 s"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ConnectionRefused, "10.0.0.2:22 refuses SSH connections"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), Unreachable, "no route to 10.0.0.2:22"),
        (socket.gaierror(-2, "unknown"), Unreachable, "10.0.0.2 is not a name that this machine can resolve"),
    ],
)
def test_each_way_of_not_answering_has_its_words(error, kind, says):
    explained = explain(replace(REFUSAL, error=error))

    assert type(explained) is kind
    assert explained.what == says
    assert explained.mac == "studio-2"
    assert explained.hint


def test_no_route_names_the_privacy_setting_of_a_mac():
    # macOS denies a terminal without Local Network permission with just this error, and says so nowhere.
    assert "Local Network" in explain(replace(REFUSAL, error=OSError(errno.EHOSTUNREACH, "No route to host"))).hint


def test_silence_behind_an_open_port_is_not_a_refusal():
    silent = replace(REFUSAL, stage=Stage.HANDSHAKE, error=EOFError())

    assert "takes the connection but says nothing" in explain(silent).what
    assert "ended the connection before the login: EOFError" in explain(replace(silent, took_s=0.1)).what


def test_a_refused_login_says_what_was_tried_and_how_to_mend_it():
    error = explain(replace(REFUSAL, stage=Stage.LOGIN, error=Exception("Authentication failed."), took_s=0.2, is_line_up=True))

    assert isinstance(error, AuthenticationFailed)
    assert error.truths[0] == "tried the keys of your SSH agent and ~/.ssh: Authentication failed"
    assert "`ssh-copy-id admin@10.0.0.2`" in error.hint


@pytest.mark.parametrize("by_password", [True, False])
def test_a_mac_too_slow_to_answer_the_login_has_not_refused_it(by_password):
    slow = replace(REFUSAL, stage=Stage.LOGIN, error=paramiko.AuthenticationException("Authentication timeout."), is_line_up=True)

    error = explain(replace(slow, by_password=by_password))

    assert type(error) is Unreachable
    assert "stopped answering during the login; gave up after 10 s" in error.what


def test_the_recorded_banner_of_a_locked_mac_is_recognised():
    transcript = (data_path("tests") / "fixtures/ops/filevault_preboot_ssh.transcript.txt").read_text()

    assert is_filevault_banner(transcript.replace("\n", "\r\n"))
    assert isinstance(explain(replace(REFUSAL, stage=Stage.LOGIN, banner=transcript)), FileVaultLocked)


@pytest.mark.parametrize(
    "banner", ["", "Authorised use only", "System successfully unlocked.\r\nYou may now use SSH to authenticate normally."]
)
def test_other_banners_are_not_a_locked_mac(banner):
    assert not is_filevault_banner(banner)


@pytest.mark.parametrize(
    ("error", "reach"),
    [
        (Unreachable("x"), Reach.TIMEOUT),
        (ConnectionRefused("x"), Reach.REFUSED),
        (FileVaultLocked("x"), Reach.FILEVAULT_LOCKED),
        (AuthenticationFailed("x"), Reach.AUTH),
    ],
)
def test_a_probe_gives_the_state_of_a_restarting_mac(error, reach):
    assert Reach.of(error) is reach


def test_a_changed_host_key_is_never_waited_through():
    with pytest.raises(HostKeyMismatch):
        Reach.of(HostKeyMismatch("x"))
