"""One file per macOS program: how to ask it, how to read its text, how to tell it. Pure: a parser raises Unparsable rather than guess.

Programs are called by name, never by path: the PATH of the Mac decides. `None` means known to be absent; not known is `Unknown`.
"""
