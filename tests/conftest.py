"""What holds for every test."""

from hypothesis import settings

# No test asserts a time, this one included: a loaded machine would make it fail.
settings.register_profile("macfleet", deadline=None)
settings.load_profile("macfleet")
