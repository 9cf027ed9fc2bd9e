"""Dispatch to the subcommands: help is instant, and errors and closed pipes end with the right exit code."""

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from sequentia.cli import COMMANDS

Command = Callable[..., Any]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids="-".join)
def test_help_imports_nothing_slow(command: list[str]) -> None:
    arguments = [sys.executable, "-X", "importtime", "-m", "sequentia", *command, "--help"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"usage: sequentia {' '.join(command)}".rstrip())
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "sequentia.cli" in imported
    assert imported.isdisjoint({"torch", "lightning", "numpy", "fsspec", "matplotlib"})


def test_the_version_is_printed(command: Command) -> None:
    versions = [
        f"sequentia {version('sequentia-lm')}",
        f"torch {version('torch')}",
        f"lightning {version('lightning')}",
    ]
    assert command("--version") == (0, "\n".join([*versions, ""]), "")


def test_no_command_prints_the_help_to_stderr_and_ends_with_exit_code_2(command: Command) -> None:
    ended = command()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("usage: sequentia ")
    assert ended.err.endswith("\nsequentia: give a command\n")


def test_an_unknown_command_is_reported_with_the_known_ones(command: Command) -> None:
    ended = command("fti")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("sequentia: ")
    assert ended.err.endswith("; see `sequentia --help`\n")
    assert ended.err.count("\n") == 1
    assert "'fti'" in ended.err
    assert all(name in ended.err for name in COMMANDS)


def test_ctrl_c_ends_the_command_silently_with_exit_code_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: str | None) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("sequentia.commands.sample.find_checkpoint", interrupt)
    assert command("sample") == (130, "", "")


def test_a_closed_pipe_ends_the_command_silently_with_exit_code_141(trained: Path) -> None:
    options = ["--ckpt_path", str(trained), "--num_samples", "1000000", "--max_length", "5"]
    arguments = [sys.executable, "-m", "sequentia", "sample", *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().endswith(b"\n")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
