"""What may happen to a Mac's answer on its way: each function gives (what was done, the text it became) for every place of a text."""

import json
import re

# Keys that a later macOS may print beside those that are known, and that mean nothing to anybody.
NEW_LINES = ("Ærø Mode: 7", " newkey               3", "\tnew key = 1")
OTHER_VALUES = (None, True, False, 0, -1, 10**30, 1.5, float("inf"), float("nan"), "", "ja", [], {}, ["x"], {"x": 1})


def cut_short(text):
    """Ended before each of its lines."""
    lines = text.splitlines(keepends=True)
    for count in range(len(lines)):
        yield f"cut before line {count + 1}", "".join(lines[:count])


def without_a_line(text):
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        yield f"without {line.strip()!r}", "".join(lines[:index] + lines[index + 1 :])


def with_a_new_line(text):
    """A line nobody knows, at each place where lines begin."""
    lines = text.splitlines(keepends=True)
    for new in NEW_LINES:
        for index in range(1, len(lines) + 1):
            yield f"with {new!r} before line {index + 1}", "".join((*lines[:index], f"{new}\n", *lines[index:]))


def in_other_words(text):
    """Each word of the text said in another language, everywhere it stands."""
    for word in sorted(set(re.findall(r"[A-Za-z]{3,}", text))):
        yield f"{word!r} in other words", re.sub(rf"\b{word}\b", "ålåål", text)


def in_other_numbers(text):
    """As locales write them: a comma for the point, blanks or points between thousands, other digits."""
    yield "decimal commas", re.sub(r"(\d)\.(\d)", r"\1,\2", text)
    yield "points between thousands", re.sub(r"(?<=\d)(?=(?:\d{3})+\b)", ".", text)
    yield "narrow blanks between thousands", re.sub(r"(?<=\d)(?=(?:\d{3})+\b)", "\u202f", text)
    yield "Arabic digits", text.translate({ord("0") + digit: chr(0x660 + digit) for digit in range(10)})


def with_other_line_ends(text):
    yield "CRLF", text.replace("\n", "\r\n")
    yield "no end of the last line", text.rstrip("\n")
    yield "a blank line before it", "\n" + text
    yield "a byte order mark", "\ufeff" + text


def json_without_a_key(text):
    for path, _ in _places(json.loads(text)):
        yield f"without {_named(path)}", _edited(text, path, lambda holder, key: holder.pop(key))


def json_with_a_new_key(text):
    tree = json.loads(text)
    for path, value in [((), tree), *_places(tree)]:
        if isinstance(value, dict):
            yield f"with a new key in {_named(path)}", _edited(text, (*path, "new_key"), _put({"deep": [1]}))


def json_with_another_value(text):
    for path, _ in _places(json.loads(text)):
        for value in OTHER_VALUES:
            yield f"{_named(path)} is {value!r}", _edited(text, path, _put(value))


def is_json(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


LESS = (cut_short, without_a_line)
MORE = (with_a_new_line,)
OTHERWISE = (in_other_words, in_other_numbers, with_other_line_ends)


def everything(text):
    """All of it, each text once."""
    ways = (*LESS, *MORE, *OTHERWISE, *((json_without_a_key, json_with_a_new_key, json_with_another_value) if is_json(text) else ()))
    seen = {text}
    for way in ways:
        for what, mangled in way(text):
            if mangled not in seen:
                seen.add(mangled)
                yield what, mangled


def _places(tree, path=()):
    """Every place below the root, with what stands there."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield (*path, key), value
        yield from _places(value, (*path, key))


def _edited(text, path, edit):
    tree = json.loads(text)
    holder = tree
    for key in path[:-1]:
        holder = holder[key]
    edit(holder, path[-1])
    return json.dumps(tree)


def _put(value):
    def put(holder, key):
        holder[key] = value

    return put


def _named(path):
    return "/".join(map(str, path)) or "the object"
