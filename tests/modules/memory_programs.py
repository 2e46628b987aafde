"""Programs that come from elsewhere: Homebrew, Tailscale, uv and Python."""

import json

from tests.modules.memory_files import Entry


class OtherPrograms:
    """Installed, they answer."""

    def _brew(self, words, stdin, sudo):
        if not self.has_brew:
            return 127, "sh: brew: command not found"
        match words:
            case ["--prefix"]:
                return "/opt/homebrew\n"
            case ["install", formula]:
                self.files[f"/opt/homebrew/opt/{formula}"] = Entry(f"../Cellar/{formula}")
            case ["services", "start", "tailscale"]:
                self.tailnet = "NeedsLogin" if self.tailnet != "Running" else "Running"
            case ["services", "stop", "tailscale"]:
                self.tailnet = "NoDaemon"
        return ""

    def _uname(self, words, stdin, sudo):
        return f"{self.kernel}\n"

    def _sudo(self, words, stdin, sudo):
        if words in (["-n", "true"], ["-n", "sh", "-c", ":"]):
            return (1, "sudo: a password is required") if self.sudo_asks else ""
        self.log.append(f"as {words[words.index('-u') + 1]}")
        as_somebody = words[words.index("-u") + 2 :]
        return getattr(self, f"_{as_somebody[0]}")(as_somebody[1:], stdin, sudo)

    def _tailscale(self, words, stdin, sudo):
        match words[0], self.tailnet:
            case _, "NotInstalled":
                return 127, "sh: tailscale: command not found"
            case _, "NoDaemon":
                return 1, "failed to connect to local Tailscale service"
            case "up" | "set", _:
                given = dict(word.removeprefix("--").partition("=")[::2] for word in words[1:])
                self.tailnet = "Running"
                self.tailnet_settings = {"Hostname": given["hostname"], "RunSSH": given.get("ssh", "false") in ("", "true")}
                return ""
            case "logout", _:
                self.tailnet, self.tailnet_settings = "NeedsLogin", {"Hostname": "", "RunSSH": False}
                return ""
            case "debug", _:
                return json.dumps(self.tailnet_settings)
        return json.dumps({"BackendState": self.tailnet, "Self": {"Online": self.tailnet == "Running"}})

    def _uv(self, words, stdin, sudo):
        if words[0] == "venv":
            self.files[f"{words[-1]}/bin/python"] = Entry(b"python", "755")
        return ""

    def _find(self, words, stdin, sudo):
        if words[-4:] == ["-exec", "cat", "{}", "+"]:
            plists = (entry.content for path, entry in self.files.items() if path.startswith(f"{words[0]}/") and path.endswith(".plist"))
            return b"".join(plists).decode()
        if words[-2:] == ["-name", "runtime.json"]:
            found = [path for path in self.files if path.startswith(f"{words[0]}/") and path.endswith("/runtime.json")]
            return "\n".join(found) if found else (1, f"find: {words[0]}: No such file or directory")
        kept = [words[at + 1] for at, word in enumerate(words) if word == "-name"]
        self.files = {
            path: entry for path, entry in self.files.items() if not path.startswith(f"{words[0]}/") or path.split("/")[4] in kept
        }
        return ""

    def _python(self, words, stdin, sudo):
        return ""
