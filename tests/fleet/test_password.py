"""The first login, by password, against servers that ask for it in the two ways there are."""

import asyncio
import threading

import asyncssh
import pytest

from macfleet.core.errors import AuthenticationFailed, HostKeyMismatch, HostKeyUnknown
from macfleet.core.secret import Secret
from macfleet.fleet.password import PasswordLogin
from macfleet.fleet.ssh import Dialer, _AnswerFirst
from macfleet.inventory.mac import Mac, SshSettings


class _Account(asyncssh.SSHServer):
    """One account, whose password is "rehearsal"; `seen` are the passwords it was shown."""

    def __init__(self, seen, *, in_a_dialogue):
        self._seen, self._in_a_dialogue = seen, in_a_dialogue

    def password_auth_supported(self):
        return not self._in_a_dialogue

    def validate_password(self, username, password):
        self._seen.append(password)
        return (username, password) == ("admin", "rehearsal")

    def kbdint_auth_supported(self):
        return self._in_a_dialogue

    def get_kbdint_challenge(self, username, lang, submethods):
        return "", "", "", [("Password:", False)]

    def validate_kbdint_response(self, username, responses):
        return self.validate_password(username, responses[0])


class Server:
    """A real SSH server in a thread of its own."""

    def __init__(self, directory, *, in_a_dialogue=False):
        self.seen = []
        self.known_hosts = directory / "known_hosts"
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._in_a_dialogue = in_a_dialogue
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(20)
        self.mac = Mac("studio-1", "127.0.0.1", "Mac15,14", 1, port=self._port, user="admin")
        self.ssh = SshSettings(known_hosts=self.known_hosts)

    def pin(self, key=None):
        self.known_hosts.write_text(f"[127.0.0.1]:{self._port} {(key or self._key).export_public_key().decode()}")

    def stop(self):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)

    async def _serve(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        account = lambda: _Account(self.seen, in_a_dialogue=self._in_a_dialogue)  # noqa: E731
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=account, server_host_keys=[self._key], process_factory=lambda process: process.exit(0)
        )
        self._port = server.get_port()
        self._started.set()
        await self._over.wait()
        server.close()


@pytest.fixture(params=[False, True], ids=["password", "dialogue"])
def server(tmp_path, request):
    made = Server(tmp_path, in_a_dialogue=request.param)
    yield made
    made.stop()


def test_the_right_password_lets_in(server):
    server.pin()

    line = Dialer(server.ssh, password=Secret("rehearsal")).open(server.mac)

    assert line.is_open
    line.close()
    assert server.seen == ["rehearsal"]


def test_a_wrong_password_is_said_without_showing_it(server):
    server.pin()

    with pytest.raises(AuthenticationFailed) as refused:
        Dialer(server.ssh, password=Secret("not-this-one")).open(server.mac)

    error = refused.value
    assert str(error).endswith("does not let admin in with this password")
    assert "not-this-one" not in " ".join((str(error), *error.truths, error.hint))


@pytest.mark.parametrize("pinned", [None, "another"])
def test_no_password_goes_to_a_server_whose_key_is_not_the_pinned_one(server, pinned):
    if pinned:
        server.pin(asyncssh.generate_private_key("ssh-ed25519"))

    with pytest.raises(HostKeyMismatch if pinned else HostKeyUnknown):
        Dialer(server.ssh, password=Secret("rehearsal")).open(server.mac)

    assert server.seen == []


def test_only_the_macs_named_are_shown_the_password(server):
    server.pin()

    with pytest.raises(AuthenticationFailed):
        PasswordLogin(Secret("rehearsal"), ())(server.mac, server.ssh, lambda result: None)
    PasswordLogin(Secret("rehearsal"), ["studio-1"])(server.mac, server.ssh, lambda result: None).close()

    assert server.seen == ["rehearsal"]


def test_an_answer_that_is_quicker_than_its_waiter_is_heard():
    class Quick:
        """A server so near that it has answered before `_send_message` returns."""

        lock, auth_timeout = threading.Lock(), 5

        def _send_message(self, message):
            handler.authenticated = True
            handler.auth_event.set()

        def is_active(self):
            return True

    near = Quick()  # paramiko's handlers hold their transport weakly
    handler = _AnswerFirst(near)

    assert handler.auth_password("admin", "rehearsal") == []
