"""Every parser and every question of macos/, found by looking: whoever adds one is tested unasked.

A parser is a function `parse_…(text: str)`. A question is a Fact in a module, or what a function with the return type Fact[…]
makes of the arguments below. One that fits neither is named by `test_every_parser_and_question_is_found`.
"""

import importlib
import inspect
import pkgutil

from macfleet import macos
from macfleet.core.fact import Fact
from macfleet.core.paths import MacPaths
from tests.checks.macs import a_mac

# Values for the parameters of functions that make questions, by their annotation.
ARGUMENTS = {
    "str": "x",
    "int": 1,
    "bool": False,
    "MacPaths": MacPaths(),
    "Mac": a_mac(),
    "Iterable[str]": ("x",),
    "Sequence[str]": ("x",),
    "tuple[str, ...]": ("x",),
}
# Readers of a part of a text, not of a text: their callers are tested.
HELPERS = {"parse_number", "parse_whole", "parse_json_object", "parse_plist"}

MODULES = tuple(importlib.import_module(each.name) for each in pkgutil.iter_modules(macos.__path__, f"{macos.__name__}."))


def _own(module, is_wanted):
    return [value for _, value in sorted(inspect.getmembers(module, is_wanted)) if value.__module__ == module.__name__]


def _functions():
    return [function for module in MODULES for function in _own(module, inspect.isfunction) if not function.__name__.startswith("_")]


def _takes_only_text(function):
    first, *rest = inspect.signature(function).parameters.values()
    return first.annotation == "str" and all(each.default is not each.empty for each in rest)


def _makes_a_question(function):
    return str(inspect.signature(function).return_annotation).startswith("Fact[")


def _missing_arguments(function):
    parameters = inspect.signature(function).parameters.values()
    return [each for each in parameters if each.default is each.empty and each.annotation not in ARGUMENTS]


def _ask(function):
    wanted = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    positional = [ARGUMENTS[each.annotation] for each in wanted if each.kind is not each.KEYWORD_ONLY]
    named = {each.name: ARGUMENTS[each.annotation] for each in wanted if each.kind is each.KEYWORD_ONLY}
    return function(*positional, **named)


_named_parsers = [each for each in _functions() if each.__name__.startswith("parse_") and each.__name__ not in HELPERS]
_makers = [each for each in _functions() if _makes_a_question(each) and each.__name__ != "ask"]

PARSERS = tuple(each for each in _named_parsers if _takes_only_text(each))
FACTS = tuple(
    dict.fromkeys(
        [value for module in MODULES for name, value in sorted(vars(module).items()) if isinstance(value, Fact)]
        + [_ask(each) for each in _makers if not _missing_arguments(each)]
    )
)
NOT_FOUND = [f"{each.__module__}.{each.__name__}" for each in _named_parsers if not _takes_only_text(each)] + [
    f"{each.__module__}.{each.__name__}({', '.join(map(str, _missing_arguments(each)))})" for each in _makers if _missing_arguments(each)
]
