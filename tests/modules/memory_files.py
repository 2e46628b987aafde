"""The files of a Mac in memory, and the programs that look at them and change them."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Entry:
    """A file (bytes), a directory (None) or a link (text)."""

    content: bytes | str | None
    mode: str = "644"
    owner: str = "fleet"
    group: str = "staff"


class FilePrograms:
    """Work on `files`, path → Entry."""

    def _df(self, words, stdin, sudo):
        return f"Filesystem 1024-blocks Used Available Capacity\n/dev/disk3s5 {400 << 20} 1 {self.free_kib} 50% /\n"

    def _stat(self, words, stdin, sudo):
        form, *paths = [word for word in words if word not in ("-L", "-f")]
        absent = [f"stat: {path}: stat: No such file or directory\n" for path in paths if path not in self.files]
        said = "".join(self._stat_line(path, form) for path in paths if path in self.files)
        return said if not absent else (1, "".join(absent))

    def _stat_line(self, path, form):
        entry = self.files[path]
        size = len(entry.content) if isinstance(entry.content, bytes) else 64
        kind = {bytes: "Regular File", str: "Symbolic Link"}.get(type(entry.content), "Directory")
        return f"{path}\n" if form == "%N" else f"{entry.mode} {entry.owner} {entry.group} {size} {kind}\n"

    def _shasum(self, words, stdin, sudo):
        entry = self.files.get(words[-1])
        if entry is None or not isinstance(entry.content, bytes) or not self._may_read(entry, sudo):
            return 1, f"shasum: {words[-1]}: "
        return f"{hashlib.sha256(entry.content).hexdigest()}  {words[-1]}\n"

    def _cat(self, words, stdin, sudo):
        entry = self.files.get(self._follow(words[-1]))
        if entry is None or not isinstance(entry.content, bytes):
            return 1, f"cat: {words[-1]}: {'Is a directory' if entry else 'No such file or directory'}"
        return entry.content.decode(errors="replace") if self._may_read(entry, sudo) else (1, f"cat: {words[-1]}: Permission denied")

    _head = _cat

    def _may_read(self, entry, sudo):
        return sudo or entry.owner == "fleet" or int(entry.mode, 8) & 0o004

    def _mkdir(self, words, stdin, sudo):
        for path in (*reversed(PurePosixPath(words[-1]).parents), PurePosixPath(words[-1])):
            if path.name:
                self.files.setdefault(str(path), Entry(None, "755", *self._who(sudo)))
        return ""

    def _chmod(self, words, stdin, sudo):
        self.files[words[1]] = replace(self.files[words[1]], mode=words[0])
        return ""

    def _chown(self, words, stdin, sudo):
        *_, names, path = words
        owner, group = names.split(":")
        self.files[path] = replace(self.files[path], owner=owner, group=group)
        return ""

    def _cp(self, words, stdin, sudo):
        self.files[words[-1]] = self.files[words[-2]]
        return ""

    def _mv(self, words, stdin, sudo):
        self.files[words[-1]] = self.files.pop(words[-2])
        return ""

    def _rm(self, words, stdin, sudo):
        self.files.pop(words[-1], None)
        return ""

    def _keep_copy(self, path, kept):
        if path in self.files:
            self.files.setdefault(kept, self.files[path])
        return ""

    def _take_line_back(self, path, copy, *_):
        """Where nobody else wrote there since; the other way is proved in test_scripts.py."""
        if copy:
            self.files[path] = self.files[copy]
        else:
            self.files.pop(path, None)
        return ""

    def _remove_if_empty(self, path):
        if not any(other.startswith(f"{path}/") for other in self.files):
            self.files.pop(path, None)
        return ""

    def _empty(self, path):
        self.files = {other: entry for other, entry in self.files.items() if not other.startswith(f"{path}/")}
        return ""

    def _ln(self, words, stdin, sudo):
        self.files[words[-1]] = Entry(words[-2])
        return ""

    def _rmdir(self, words, stdin, sudo):
        return self._remove_if_empty(words[-1])

    def _test(self, words, stdin, sudo):
        return "" if words[-1] in self.files else (1, "")

    def _readlink(self, words, stdin, sudo):
        return f"{words[-1]}\n" if words[-1] in self.files else (1, "")

    def _follow(self, path):
        for link, entry in self.files.items():
            if isinstance(entry.content, str) and path.startswith(f"{link}/"):
                return path.replace(link, entry.content, 1)
        return path

    def _who(self, sudo):
        return ("root", "wheel") if sudo else ("fleet", "staff")

    def _id(self, words, stdin, sudo):
        return {"-un": "fleet", "-gn": "staff"}[words[0]] + "\n"
