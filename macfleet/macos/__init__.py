"""One file per macOS program: how to ask it, how to read its text, how to tell it. Pure: a parser raises Unparsable rather than guess."""
