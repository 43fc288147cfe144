import inspect
from importlib import import_module

import pytest
from weft.sw import cli
from weft.sw.commands import options

SHARED = {"preset": options.Preset, "config": options.ConfigFile, "settings": options.Settings}


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_commands_that_take_a_file_or_settings_take_all_three_alike(command: str) -> None:
    function = getattr(import_module(f"weft.sw.commands.{command}"), command)
    taken = {name: one.annotation for name, one in inspect.signature(function).parameters.items() if name in SHARED}
    if taken.keys() & {"config", "settings"}:
        assert taken == SHARED
