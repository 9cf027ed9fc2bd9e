"""The script of `sequentia completion` completes commands, options and files in a shell."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.commands import COMMANDS

Command = Callable[..., Any]

COMPLETE = """
source completion
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_sequentia
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("sequentia 'co'", {"completion"}),
        ("sequentia sample '--num'", {"--num_samples"}),
        ("sequentia fit '--data.la'", {"--data.label"}),
        ("sequentia fit 'bran'", {"brands.txt"}),
        ("sequentia completion ''", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes_commands_options_and_files(
    words: str, expected: set[str], command: Command, tmp_path: Path
) -> None:
    (tmp_path / "completion").write_text(command("completion", "bash").out)
    (tmp_path / "brands.txt").write_text("Akzo\n")
    script = ["bash", "-c", COMPLETE.format(words=words)]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_every_command(shell: str, command: Command) -> None:
    code, out, err = command("completion", shell)
    assert (code, err) == (0, "")
    assert all(name in out for name in COMMANDS)
