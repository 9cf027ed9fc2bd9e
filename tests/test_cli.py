"""Dispatch to the subcommands: help is instant, and errors and closed pipes end with the right exit code."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from sequentia.cli import COMMANDS, main

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


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"\xe9\u05d0"), ("cp1252", r"é\u05d0"), ("utf-8", "éא")])
def test_a_character_that_the_encoding_of_the_output_lacks_is_escaped_with_one_warning(
    trained: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["score", "--ckpt_path", str(trained), "éא", "emma", "éא"]) == 0
    lines = out.buffer.getvalue().decode(encoding).splitlines()
    assert [line.split("\t")[0] for line in lines] == ["text", shown, "emma", shown]
    err.seek(0)
    warnings = ["characters that the encoding lacks are escaped: set PYTHONIOENCODING=utf-8"]
    assert err.read().splitlines()[1:] == warnings * (encoding != "utf-8")


def test_a_closed_pipe_ends_the_command_silently_with_exit_code_141() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [sys.executable, "-m", "sequentia", "--version"]
    done = subprocess.run(arguments, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
