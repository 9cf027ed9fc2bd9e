"""The command's frame: help is instant, and a reader may leave."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sequentia.cli import COMMANDS

THIN = [name for name, (_, module) in COMMANDS.items() if module != "sequentia.commands.fit"]
"""Subcommands without Lightning's command line."""


@pytest.mark.parametrize("command", [[], *([name] for name in THIN)], ids="-".join)
def test_help_imports_nothing_slow(command: list[str]) -> None:
    arguments = [sys.executable, "-X", "importtime", "-m", "sequentia", *command, "--help"]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(f"usage: sequentia {' '.join(command)}".rstrip())
    imported = set(re.findall(r"\| +([\w.]+)$", ended.stderr, re.MULTILINE))
    assert "sequentia.cli" in imported
    assert imported.isdisjoint({"torch", "lightning", "numpy", "fsspec", "matplotlib"})


def test_a_reader_that_leaves_ends_the_command_quietly(trained: Path) -> None:
    options = ["--ckpt_path", str(trained), "--num_samples", "1000000", "--max_length", "5"]
    arguments = [sys.executable, "-m", "sequentia", "sample", *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().endswith(b"\n")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
