"""pmset, sysctl, defaults and the other settings of a Mac in memory."""

import plistlib


class SettingPrograms:
    """What one sets, another one shows."""

    def _pmset(self, words, stdin, sudo):
        if words == ["-g", "custom"]:
            sections = {"Battery Power": self.battery, "AC Power": self.pmset, "UPS Power": self.on_ups}
            rows = {name: "".join(f" {key:<20} {value}\n" for key, value in values.items()) for name, values in sections.items()}
            return "".join(f"{name}:\n{text}" for name, text in rows.items() if text)
        if words == ["-g", "batt"]:
            return "Now drawing from 'AC Power'\n" + (
                " -UPS-1500VA (id=1)\t87%; charged; 0:45 remaining present: true\n" if self.on_ups else ""
            )
        if words == ["-g", "ups"]:
            rows = "".join(f"  {key}\ton\t{value}\n" for key, value in self.thresholds.items())
            return "UPS settings:\n" + (rows or "  haltlevel\toff\t0\n") if self.on_ups else ""
        if words[0] == "-u" and words[1].startswith("halt"):
            self.thresholds = {key: value for key, value in {**self.thresholds, words[1]: words[2]}.items() if value != "0"}
            return ""
        if self.forgets_pmset:
            return ""
        sections = {"-c": [self.pmset], "-b": [self.battery], "-u": [self.on_ups]}
        for values in sections.get(words[0], [self.pmset, self.battery, self.on_ups]):
            values |= {key: value for key, value in zip(words[1::2], words[2::2], strict=True) if key in values}
        return ""

    def _sysctl(self, words, stdin, sudo):
        if "=" in words[0]:
            name, _, value = words[0].partition("=")
            self.sysctls[name] = value
            return f"{name}: 0 -> {value}\n"
        return "".join(f"{name}: {self.sysctls[name]}\n" for name in words if name in self.sysctls)

    def _defaults(self, words, stdin, sudo):
        verb, domain, *rest = words
        if verb == "export":
            return plistlib.dumps(self.defaults.get(domain, {})).decode()
        key, kind, value = rest
        kinds = {"-bool": lambda text: text == "true", "-int": int, "-float": float, "-string": str}
        self.defaults.setdefault(domain, {})[key] = kinds[kind](value)
        return ""

    def _delete_default(self, domain, key):
        left = {name: value for name, value in self.defaults.pop(domain, {}).items() if name != key}
        self.defaults |= {domain: left} if left else {}
        return ""

    def _softwareupdate(self, words, stdin, sudo):
        if len(words) == 2:
            self.searches_updates = words[1] == "on"
        return f"Automatic checking for updates is turned {'on' if self.searches_updates else 'off'}\n"

    def _scutil(self, words, stdin, sudo):
        verb, kind, *name = words
        if verb == "--set":
            self.names = {**{other: value for other, value in self.names.items() if other != kind}, **({kind: name[0]} if name[0] else {})}
            return ""
        return f"{self.names[kind]}\n" if kind in self.names else (1, f"{kind}: not set")

    def _mdutil(self, words, stdin, sudo):
        if words[0] == "-i":
            self.is_indexed = words[1] == "on"
        return f"/:\n\tIndexing {'enabled' if self.is_indexed else 'disabled'}. \n"

    def _socketfilterfw(self, words, stdin, sudo):
        match words:
            case ["--setglobalstate", switch]:
                self.firewall = 0 if switch == "off" else max(self.firewall, 1)
            case ["--setblockall", switch]:
                self.firewall = 2 if switch == "on" else min(self.firewall, 1)
            case ["--add", path]:
                self.let_in[path] = True
            case ["--unblockapp" | "--blockapp" as verb, path]:
                self.let_in[path] = verb == "--unblockapp"
            case ["--remove", path]:
                self.let_in.pop(path, None)
        return f"(State = {self.firewall})\n"

    def _firewall_rule(self, path):
        if path not in self.let_in:
            return "The application is not part of the firewall \n"
        return f"Incoming connection to {path} is {'permitted' if self.let_in[path] else 'blocked'} \n"
