import pytest

from macfleet.modules import MODULES
from macfleet.modules.describe import describe
from tests.modules.play import tasks

KNOWN = {module.name: describe(module) for module in MODULES}


def argument(module, name):
    return next(argument for argument in KNOWN[module].arguments if argument.name == name)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_says_what_it_does_and_what_each_argument_means(module):
    said = describe(module)

    assert said.summary
    assert not said.summary.endswith(".")
    assert [argument.name for argument in said.arguments] == list(module.Args.model_fields)
    assert [argument.name for argument in said.arguments if not argument.description] == []
    assert tasks(said.example)


@pytest.mark.parametrize(
    ("module", "name", "type", "default"),
    [
        ("pmset", "sleep", "whole number", ""),
        ("pmset", "power_on", "`never`, `after-failure` or `always`", ""),
        ("launchd", "state", "`running`, `loaded` or `absent`", "running"),
        ("command", "argv", "list of text", None),
        ("command", "timeout", "text like 10 min", "1 min"),
        ("tailscale", "auth_key", "secret: {env: NAME}, {file: PATH} or {command: [WORDS]}", ""),
        ("thunderbolt_network", "network", "network", None),
        ("network_service", "address", "address/prefix", ""),
        ("runtime", "python", "text", None),
        ("template", "vars", "mapping", "none"),
    ],
)
def test_types_and_defaults_are_told_as_they_would_be_written(module, name, type, default):
    assert (argument(module, name).type, argument(module, name).default) == (type, default)


def test_a_module_that_can_be_a_handler_says_so():
    assert [name for name, said in KNOWN.items() if said.is_repeatable] == ["command", "launchd"]
