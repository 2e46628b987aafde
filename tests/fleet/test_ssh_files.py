"""Files, logs and tunnels over a line to a real OpenSSH server."""

import hashlib
import itertools
import os
import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from macfleet.core.command import command
from macfleet.core.errors import (
    CommandFailed,
    ConnectionDropped,
    WeightsBroken,
)
from tests.fleet.sshd import wait_until


def test_a_file_is_put_whole_with_its_mode(sshd, line, tmp_path):
    source = tmp_path / "weights"
    source.write_bytes(os.urandom(3_000_000))
    target = sshd.root / "weights of 'a' model"

    line.put(source, str(target), mode=0o600)

    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in sshd.root.iterdir()] == [target.name]


def test_bytes_are_put_and_got_back(sshd, line):
    data = bytes(range(256))

    line.put(data, f"{sshd.root}/file")

    assert line.get(f"{sshd.root}/file") == data


def test_an_empty_file_is_a_file(sshd, line):
    line.put(b"", f"{sshd.root}/empty")

    assert line.get(f"{sshd.root}/empty") == b""


def test_putting_where_nobody_may_write_leaves_the_old_file(sshd, line):
    with pytest.raises(CommandFailed, match="ended with"):
        line.put(b"new", f"{sshd.root}/no/such/directory/file")


def test_a_file_damaged_on_its_way_is_not_put(sshd, line):
    sshd.program("shasum", "echo 0000  -")
    (sshd.root / "file").write_text("old")

    with pytest.raises(CommandFailed, match="did not arrive as it was sent") as raised:
        line.put(b"new", f"{sshd.root}/file")

    assert hashlib.sha256(b"new").hexdigest() in raised.value.truths[0]
    assert (sshd.root / "file").read_text() == "old"
    assert [path.name for path in sshd.root.iterdir()] == ["file"]


def test_a_mac_that_dies_while_a_file_comes_in_keeps_the_old_one(sshd, line, tmp_path):
    target = sshd.root / "file"
    target.write_text("old")
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(4_000_000_000)
    arriving = sshd.root / "file.macfleet-new"
    killer = threading.Thread(target=lambda: (wait_until(arriving.exists, "the file comes in"), sshd.kill_sessions()), daemon=True)
    killer.start()

    with pytest.raises(ConnectionDropped, match=r"dropped while .* was sent"):
        line.put(big, str(target))

    killer.join()
    assert target.read_text() == "old"


def test_a_file_that_is_aborted_on_its_way_leaves_the_old_one_and_nothing_else(sshd, line, tmp_path):
    target = sshd.root / "file"
    target.write_text("old")
    arriving = sshd.root / "file.macfleet-new"
    stopper = threading.Thread(target=lambda: (wait_until(arriving.exists, "the file comes in"), line.abort()), daemon=True)
    stopper.start()

    with pytest.raises(ConnectionDropped, match=r"dropped while \S*/file was sent"):
        line.put(itertools.repeat(bytes(1 << 16)), str(target))

    stopper.join()
    assert target.read_text() == "old"
    wait_until(lambda: [path.name for path in sshd.root.iterdir()] == ["file"], "nothing else is left")


def test_a_source_that_ends_in_an_error_leaves_the_old_file_and_nothing_else(sshd, line):
    def broken():
        yield b"half"
        raise WeightsBroken("it became shorter while it was read")

    (sshd.root / "file").write_text("old")

    with pytest.raises(WeightsBroken):
        line.put(broken(), f"{sshd.root}/file")

    assert [(path.name, path.read_text()) for path in sshd.root.iterdir()] == [("file", "old")]


def test_a_file_that_is_not_there_cannot_be_got(sshd, line):
    with pytest.raises(CommandFailed, match="No such file"):
        line.get(f"{sshd.root}/nothing")


def test_a_log_is_followed_line_by_line_until_the_reader_has_enough(sshd, line):
    log = sshd.root / "log"
    log.write_text("one\n")
    lines = []

    def read(text):
        lines.append(text)
        if len(lines) == 1:
            with log.open("a") as file:
                file.write("two\n")
        if len(lines) == 2:
            raise StopIteration

    with pytest.raises(StopIteration):
        line.follow(command("tail", "-n", "+1", "-f", str(log)), read)

    assert lines == ["one", "two"]
    assert line.run([command("true")])[0].ok


def test_following_a_command_that_ends_gives_its_result(line):
    lines = []

    result = line.follow(command("sh", "-c", "echo one; echo two; printf three; echo no >&2; exit 5"), lines.append)

    assert lines == ["one", "two", "three"]
    assert (result.exit_status, result.stderr) == (5, "no\n")


class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode() * 10_000)

    def log_message(self, *args):
        pass


def test_a_tunnel_leads_to_a_port_of_the_mac(line):
    server = HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    with line.tunnel(server.server_port) as port:
        answers = [urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=20).read() for number in range(3)]

    server.shutdown()
    server.server_close()
    assert answers == [b"/%d" % number * 10_000 for number in range(3)]


def test_a_tunnel_to_a_closed_port_closes_the_connection(line):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = probe.getsockname()[1]

    with line.tunnel(closed) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        assert client.recv(1) == b""


def test_a_tunnels_port_is_free_again_at_its_end(line):
    with line.tunnel(1) as port:
        pass

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=20)
