"""An emulated macOS program: asks the process of its simulated Mac, prints what that says, ends as that says.

Started as `python -I -S client.py SOCKET PROGRAM ARG…`, dozens of times per rehearsal, so it imports next to nothing:
not even `socket`, whose import alone costs as much as the rest. The other end is `lab/calls.py`.
"""

import _socket
import posix
import sys

SEND_STDIN, STDOUT, STDERR, EXIT = 0, 1, 2, 3


def main() -> int:
    path, program, arguments = sys.argv[1], sys.argv[2].rpartition("/")[2], sys.argv[3:]
    line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        line.connect(path)
    except OSError:
        posix.write(2, f"{program}: this rehearsal Mac is gone\n".encode())
        return 70
    is_root = b"1" if b"MACFLEET_LAB_ROOT" in posix.environ else b"0"
    words = [b"run", is_root, posix.getcwdb(), *(word.encode("utf-8", "surrogateescape") for word in (program, *arguments))]
    send(line, b"\0".join(words))
    while True:
        header = receive(line, 5)
        if header is None:
            return 137  # the Mac went down under the running program
        payload = receive(line, int.from_bytes(header[1:], "big")) or b""
        if header[0] == EXIT:
            return int(payload)
        if header[0] == SEND_STDIN:
            send(line, read_all(0))
        else:
            write_all(1 if header[0] == STDOUT else 2, payload)


def send(line: _socket.socket, payload: bytes) -> None:
    line.sendall(len(payload).to_bytes(4, "big") + payload)


def receive(line: _socket.socket, size: int) -> bytes | None:
    received = b""
    while len(received) < size:
        piece = line.recv(size - len(received))
        if not piece:
            return None
        received += piece
    return received


def read_all(descriptor: int) -> bytes:
    pieces = []
    while piece := posix.read(descriptor, 65536):
        pieces.append(piece)
    return b"".join(pieces)


def write_all(descriptor: int, payload: bytes) -> None:
    while payload:
        payload = payload[posix.write(descriptor, payload) :]


posix._exit(main())
