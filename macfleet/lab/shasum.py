"""`shasum -a 256 FILE…`: macOS has it, a small Debian has not. Works on its own: the Mac's process must not hash weights."""

import _hashlib
import sys


def main(arguments: list[str]) -> int:
    if arguments[:2] != ["-a", "256"]:
        sys.stderr.write("shasum: a rehearsal Mac knows only -a 256\n")
        return 1
    status = 0
    for name in arguments[2:] or ["-"]:
        try:
            print(f"{digest(name)}  {name}")
        except IsADirectoryError:
            sys.stderr.write(f"shasum: {name}: Is a directory\n")
            status = 1
        except OSError as error:
            sys.stderr.write(f"shasum: {name}: {error.strerror}\n")
            status = 1
    return status


def digest(name: str) -> str:
    sha256 = _hashlib.openssl_sha256()
    with open(0 if name == "-" else name, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            sha256.update(piece)
    return sha256.hexdigest()


sys.exit(main(sys.argv[1:]))
