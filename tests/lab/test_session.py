"""What goes into a process over SSH and what comes out of it, with real processes and a channel that a test holds."""

import asyncio
import os
import subprocess

from macfleet.lab.processes import Processes
from macfleet.lab.session import MOST_WAITING, Input, ShellSession
from macfleet.lab.sshd import _on_pipes


class Channel:
    """Keeps what a client would get."""

    def __init__(self):
        self.said = {None: b"", 1: b""}
        self.status = asyncio.get_running_loop().create_future()
        self.is_paused = False

    def write(self, data, datatype=None):
        self.said[datatype] += data

    def exit(self, status):
        self.status.set_result(status)

    def exit_with_signal(self, name):
        self.status.set_result(name)

    def is_closing(self):
        return self.status.done()

    def pause_reading(self):
        self.is_paused = True

    def resume_reading(self):
        self.is_paused = False


async def start(directory, line):
    processes = Processes(directory)
    processes.listen()

    def spawn(stdin, stdout, stderr):
        return processes.spawn(
            ["/bin/sh", "-c", line], env={"PATH": os.environ["PATH"]}, cwd=str(directory), stdin=stdin, stdout=stdout, stderr=stderr
        )

    session = ShellSession(lambda session: _on_pipes(spawn), processes.signal_group)
    session.connection_made(Channel())
    session.session_started()
    return session


def tell(directory, line, story):
    async def run():
        session = await start(directory, line)
        await story(session)
        return session.channel, await asyncio.wait_for(session.channel.status, 20)

    return asyncio.run(run())


def test_every_byte_arrives_before_the_end(tmp_path):
    data = os.urandom(1 << 20) * 6

    async def send(session):
        for start in range(0, len(data), 32768):
            session.data_received(data[start : start + 32768], None)
        session.eof_received()

    channel, status = tell(tmp_path, "cat", send)

    assert (channel.said[None] == data, status) == (True, 0)


def test_output_errors_and_exit_status_come_apart(tmp_path):
    async def end(session):
        session.eof_received()

    channel, status = tell(tmp_path, "echo out; echo err >&2; exit 7", end)

    assert (channel.said, status) == ({None: b"out\n", 1: b"err\n"}, 7)


def test_a_process_that_does_not_read_is_no_error(tmp_path):
    async def send(session):
        for _ in range(100):
            session.data_received(b"nobody reads this" * 1000, None)
            await asyncio.sleep(0)

    channel, status = tell(tmp_path, "exec <&-; sleep 0.1; exit 3", send)

    assert (status, channel.is_paused) == (3, False)


def test_the_end_waits_for_the_last_process_that_holds_the_output(tmp_path):
    async def end(session):
        session.eof_received()

    channel, _ = tell(tmp_path, "(sleep 0.2; echo late) & echo early", end)

    assert channel.said[None] == b"early\nlate\n"


def test_a_signal_of_the_client_reaches_the_process(tmp_path):
    async def interrupt(session):
        while not session.channel.said[None]:
            await asyncio.sleep(0.01)
        session.signal_received("TERM")
        session.signal_received("NO-SUCH-SIGNAL")

    _, status = tell(tmp_path, "echo ready; exec sleep 600", interrupt)

    assert status == "TERM"


def test_a_cut_connection_does_not_end_the_process_but_breaks_its_pipes(tmp_path):
    async def cut():
        session = await start(tmp_path, "echo ready; read line; echo $? > ended")
        while not session.channel.said[None]:
            await asyncio.sleep(0.01)
        session.connection_lost(None)
        return await asyncio.wait_for(session._child.ended, 20)

    assert asyncio.run(cut()) == 0
    assert (tmp_path / "ended").read_text() == "1\n", "end of input"


def test_a_client_is_told_to_wait_while_much_waits_for_the_process():
    async def fill():
        ours_out, ours_in = os.pipe()
        os.set_blocking(ours_in, False)
        channel = Channel()
        stdin = Input(ours_in, channel)
        stdin.write(bytes(2 * MOST_WAITING))
        was_paused = channel.is_paused
        reader = subprocess.Popen(["cat"], stdin=ours_out, stdout=subprocess.PIPE)
        os.close(ours_out)
        stdin.close()
        size = len((await asyncio.to_thread(reader.communicate))[0])
        return was_paused, channel.is_paused, size

    assert asyncio.run(fill()) == (True, False, 2 * MOST_WAITING)
