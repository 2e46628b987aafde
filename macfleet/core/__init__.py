"""The vocabulary: Command, Result, Fact, Change, Finding, Outcome, units, errors, Secret.

One word per file. Pure: nothing here runs, opens, waits or prints; it imports nothing of macfleet.
"""
