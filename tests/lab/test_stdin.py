import asyncio
import hashlib
import subprocess

from macfleet.lab.stdin import Stdin


async def _copy(path, data):
    with path.open("wb") as file:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
        stdin = await Stdin.of(child.stdin)
        for start in range(0, len(data), 32768):
            await stdin.write(data[start : start + 32768])
        await stdin.close()
        await asyncio.to_thread(child.wait)


def test_every_byte_arrives_before_the_end(tmp_path):
    data = bytes(range(256)) * 20000

    asyncio.run(_copy(tmp_path / "copy", data))

    assert hashlib.sha256((tmp_path / "copy").read_bytes()).digest() == hashlib.sha256(data).digest()


async def _refuse():
    child = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    await asyncio.to_thread(child.wait)
    stdin = await Stdin.of(child.stdin)
    for _ in range(3):
        await stdin.write(b"nobody reads this")
    await stdin.close()


def test_a_child_that_does_not_read_is_no_error():
    asyncio.run(_refuse())
