"""launchd and the property lists of a Mac in memory."""

import json
import plistlib

from macfleet.macos.plutil import PREFERENCES


class JobPrograms:
    """A job is loaded, running or not there."""

    def _plutil(self, words, stdin, sudo):
        if words[0] == "-extract":
            return json.dumps(self.stored)
        if words[0] == "-remove":
            del self.stored[words[1].rsplit(".", 1)[-1]]
            return ""
        if words[0] == "-replace":
            self.stored[words[1].rsplit(".", 1)[-1]] = json.loads(words[3])
            return ""
        if words[-1] != PREFERENCES:
            plistlib.loads(self.files[words[-1]].content)
        return "OK\n"

    def _launchctl(self, words, stdin, sudo):
        label = words[-1].removeprefix("system/")
        if words[0] == "print-disabled":
            return "disabled services = {\n" + "".join(f'"{label}" => disabled\n' for label in sorted(self.disabled)) + "}\n"
        if words[0] in ("enable", "disable"):
            self.disabled = self.disabled - {label} if words[0] == "enable" else self.disabled | {label}
            return ""
        if words[0] == "kickstart":
            self.jobs[label]["state"] = "running"
            return ""
        if words[0] == "print" and label in self.jobs:
            job = self.jobs[label]
            pid = "\tpid = 77\n" if job["state"] == "running" else ""
            pended = f"\tpended nondemand spawn = {job['pended']}\n" if "pended" in job else ""
            return f"system/{label} = {{\n\tstate = {job['state']}\n{pid}{pended}\truns = 1\n}}\n"
        return 113, f'Could not find service "{label}" in domain for system'

    def _leave(self, label, _tries):
        self.jobs.pop(label, None)
        return ""

    def _enter(self, plist):
        entry = self.files[plist]
        job = plistlib.loads(entry.content)
        if job["Label"] in self.jobs or job["Label"] in self.disabled or (entry.mode, entry.owner, entry.group) != ("644", "root", "wheel"):
            return 5, "Bootstrap failed: 5: Input/output error"
        self.jobs[job["Label"]] = {"plist": entry.content, "state": "not running"}
        return ""

    def _start(self, label, *_):
        if label in self.jobs_that_fail:
            return 1, "state = spawn scheduled runs = 3 last exit code = 78: EX_CONFIG"
        self.jobs[label]["state"] = "running"
        return ""
