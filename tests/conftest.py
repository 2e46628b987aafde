"""What holds for every test."""

import gc
import os
import shutil
import signal

import pytest
from hypothesis import settings

# No test asserts a time, this one included: a loaded machine would make it fail.
settings.register_profile("macfleet", deadline=None)
settings.load_profile("macfleet")

# Who runs tests in the background, or side by side, makes them deaf to Ctrl-C, and with them every command of a story.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported and collected stays to the end: looking through it for garbage was a fifth of the suite's time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


OPENSSH = ("/usr/sbin/sshd", "ssh", "ssh-keygen")


def pytest_collection_modifyitems(items):
    """Tests against a real OpenSSH are left out, and said to be, on a machine that has none; CI installs it and insists."""
    missing = [program for program in OPENSSH if shutil.which(program) is None]
    for item in items:
        if "make_sshd" in getattr(item, "fixturenames", ()):
            item.add_marker("openssh")
        if missing and "MACFLEET_REQUIRE_SSHD" not in os.environ and item.get_closest_marker("openssh"):
            item.add_marker(pytest.mark.skip(reason=f"no {' and no '.join(missing)} here: install openssh-server to run it"))
