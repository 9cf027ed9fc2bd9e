"""A run on stdin or a pipe keeps the lines in a file of its own, from which it is resumed and tested."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sequentia.runs.directory import read_config
from sequentia.runs.lines import is_stream
from tests.conftest import NAMES, CommandResult

LINES = "".join(f"{first}{second}\n" for first in NAMES for second in NAMES).encode()
Command = Callable[..., CommandResult]


@pytest.fixture
def fit(command: Command, tmp_path: Path) -> Command:
    """Train for two steps in `runs`."""
    options = ["--config", "bigram", "--extra_metrics", "false", "--trainer.enable_progress_bar", "false"]
    options += ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", f"{tmp_path}/runs"]

    def fit(*arguments: object, stdin: bytes = b"", steps: int = 2) -> CommandResult:
        return command("fit", *options, "--trainer.max_steps", steps, *arguments, stdin=stdin)

    return fit


def test_a_run_on_stdin_is_resumed_and_tested_without_it(fit: Command, command: Command, tmp_path: Path) -> None:
    ended = fit("--data.path", "-", stdin=LINES)
    kept = read_config(tmp_path / "runs/version_0")["data"]["path"]
    assert ended.code == 0, ended.err
    assert f"stdin is kept as {kept}, and the run names that file as its data" in ended.err
    assert Path(kept).read_bytes() == LINES
    assert fit("--ckpt_path", "last", steps=4).code == 0
    assert command("test", "--ckpt_path", tmp_path / "runs").code == 0
    other = command("test", "--ckpt_path", tmp_path / "runs", "--data.path", "-", stdin=LINES[:400])
    assert (other.code, "evaluating" in other.err, "on stdin" in other.err) == (0, True, True)


def test_a_pipe_is_kept_and_equal_data_is_kept_once(fit: Command, tmp_path: Path) -> None:
    for _ in range(2):
        reader, writer = os.pipe()
        os.write(writer, LINES)
        os.close(writer)
        assert fit("--data.path", f"/dev/fd/{reader}").code == 0
        os.close(reader)
    (kept,) = (tmp_path / "runs/lines").iterdir()
    assert kept.read_bytes() == LINES
    assert not is_stream(str(kept))


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["--data.path", "-"], b"", "stdin is empty: pipe lines into it, or give a file"),
        (["--data.path", os.devnull], b"", "/dev/null is empty: pipe lines into it, or give a file"),
    ],
)
def test_an_empty_stream_is_refused(
    fit: Command, arguments: list[str], stdin: bytes, message: str, tmp_path: Path
) -> None:
    ended = fit(*arguments, stdin=stdin)
    assert (ended.code, ended.err.splitlines()[-1][: len(message) + 11]) == (2, f"sequentia: {message}")
    assert not (tmp_path / "runs/version_0").exists()


def test_several_processes_do_not_share_a_stream(fit: Command) -> None:
    ended = fit("--data.path", "-", "--trainer.devices", 2, stdin=LINES)
    assert ended == (2, "", "sequentia: several processes cannot share stdin: save it to a file, and give the file\n")
