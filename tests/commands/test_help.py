"""The short help of `fit`, `validate` and `test` names real options and fits on a screen."""

import re

import pytest

from sequentia.cli import main
from sequentia.commands.help import OPTIONS


@pytest.mark.parametrize("command", OPTIONS)
def test_every_option_in_the_short_help_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help_all"])
    every = set(re.findall(r"--[\w.]+", capsys.readouterr().out))
    named = {option.split()[0] for option in OPTIONS[command]} - {
        "--model.OPTION",
        "--trust",
    }  # read before LightningCLI
    assert named <= every | {"--data.test_path"}


@pytest.mark.parametrize("command", OPTIONS)
def test_the_short_help_names_the_full_one_and_fits_on_a_screen(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == main([command, "--ckpt_path", "nowhere", "-h"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"usage: sequentia {command} \[\w+\] \[options\]", lines[0])
    assert len(lines) < 2 * 52  # two printings
    assert all(len(line) <= 80 for line in lines)
    assert f"sequentia {command} --help_all" in lines[-2]
