"""A user's mistake ends with one line on stderr that names the thing and the remedy, exit code 2, no traceback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.cli import main
from sequentia.models import Bigram
from sequentia.text import printable

CONFIG = str(Path(__file__).parents[2] / "configs" / "transformer.yaml")
FIT = ["fit", "--config", CONFIG]

FILES: dict[str, bytes] = {
    "empty.txt": b"",
    "blank.txt": b" \n\t\n\r\n",
    "one.txt": b"emma\n",
    "long.txt": b"x" * 1300 + b"\n" + b"y" * 1400 + b"\n",
    "junk.bin": bytes(range(256)) * 4,
    "zeros.bin": b"a\0b\n",
    "utf16.txt": "emma\nava\n".encode("utf-16"),
    "packed.txt": b"\x1f\x8b\x08\x00garbage",
    "broken.gz": b"\x1f\x8b\x08\x00garbage",
    "broken.yaml": b"model: [unclosed\n",
    "text.yaml": b"hello\n",
    "misspelt.yaml": b"model: Transformer\ntrainer:\n  max_stepz: 3\n",
    "misspelt_model.yaml": b"model:\n  class_path: Transformer\n  init_args:\n    n_layr: 3\n",
    "wrong_type.yaml": b"model: Transformer\ndata:\n  batch_size: abc\n",
    "not_a.ckpt": b"hello\n",
    "null.yaml": b"data: {path: null}\n",
    "trainer.yaml": b"trainer: 5\n",
    "secret.yaml": b"password hunter2\n",
    "secret_list.yaml": b"- hunter2\n",
    "secret_broken.yaml": b"password: [hunter2\nx: }\n",
    "binary.yaml": bytes(range(256)),
}
MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "no such file": ([*FIT, "--data.path", "nowhere.txt"], ["nowhere.txt", "give a file"]),
    "an empty file": (
        [*FIT, "--data.path", "empty.txt"],
        ["empty.txt is empty", "give a file with one example per line"],
    ),
    "only blanks": ([*FIT, "--data.path", "blank.txt"], ["blank.txt has only blank lines", "give a file"]),
    "one line": ([*FIT, "--data.path", "one.txt"], ["one.txt has only one line", "give at least two"]),
    "a directory": ([*FIT, "--data.path", "."], [". is a directory", "give a file"]),
    "binary junk": ([*FIT, "--data.path", "junk.bin"], ["junk.bin", "byte"]),
    "NUL": ([*FIT, "--data.path", "zeros.bin"], ["zeros.bin", "line 1 has a NUL"]),
    "UTF-16": ([*FIT, "--data.path", "utf16.txt"], ["utf16.txt is not UTF-8"]),
    "gzip by another name": ([*FIT, "--data.path", "packed.txt"], ["packed.txt", "name it .gz"]),
    "damaged gzip": ([*FIT, "--data.path", "broken.gz"], ["broken.gz"]),
    "only long lines": ([*FIT, "--data.path", "long.txt"], ["long.txt", "raise max_length", "1,400"]),
    "an unknown option": ([*FIT, "--data.batch_sise", "3"], ["--data.batch_sise", "--help"]),
    "an unknown option of the model": ([*FIT, "--model.n_layr", "3"], ["n_layr", "--help"]),
    "an option misspelt in YAML": (["fit", "--config", "misspelt.yaml"], ["trainer.max_stepz", "--help"]),
    "a model's option misspelt in YAML": (["fit", "--config", "misspelt_model.yaml"], ["n_layr", "--help"]),
    "a wrong type": ([*FIT, "--data.batch_size", "abc"], ["--data.batch_size", "expected an int, got 'abc'"]),
    "a wrong type in YAML": (
        ["fit", "--config", "wrong_type.yaml"],
        ["--data.batch_size", "expected an int, got 'abc'"],
    ),
    "a wrong type for the model": ([*FIT, "--model.n_layer", "two"], ["n_layer", "expected an int, got 'two'"]),
    "a wrong type for the optimizer": ([*FIT, "--optimizer.lr", "fast"], ["lr", "expected a float, got 'fast'"]),
    "an invalid time": ([*FIT, "--checkpoint.train_time_interval", "5 minutes"], ["train_time_interval", "h:m:s"]),
    "a batch of nothing": ([*FIT, "--data.batch_size", "0"], ["batch_size must be at least 1, got 0"]),
    "another directory for checkpoints": (
        [*FIT, "--checkpoint.dirpath", "elsewhere"],
        ["checkpoint.dirpath", "set --trainer.default_root_dir"],
    ),
    "no steps": ([*FIT, "--trainer.max_steps", "0"], ["trainer.max_steps must be at least 1", "got 0"]),
    "an interval longer than the limited epoch": (
        [
            *(*FIT, "--trainer.val_check_interval", "5", "--trainer.check_val_every_n_epoch", "1"),
            *("--trainer.limit_train_batches", "2"),
        ],
        ["5 exceeds the 2 batches of an epoch"],
    ),
    "accumulating no batches": (
        [*FIT, "--trainer.accumulate_grad_batches", "0"],
        ["trainer.accumulate_grad_batches must be above 0, got 0"],
    ),
    "an interval of zero": (
        [*FIT, "--trainer.val_check_interval", "0"],
        ["trainer.val_check_interval must be above 0, got 0"],
    ),
    "an interval longer than an epoch": (
        [*FIT, "--trainer.val_check_interval", "500", "--trainer.check_val_every_n_epoch", "1"],
        ["500 exceeds the 101 batches of an epoch", "omit --trainer.check_val_every_n_epoch"],
    ),
    "a negative learning rate": ([*FIT, "--optimizer.lr=-1"], ["optimizer", "lr must be at least 0", "got -1.0"]),
    "a negative learning rate for AdamW": (
        [*FIT, "--optimizer", "AdamW", "--optimizer.lr=-1"],
        ["optimizer", "Invalid learning rate: -1.0"],
    ),
    "an unknown accelerator": ([*FIT, "--trainer.accelerator", "quantum"], ["quantum", "cpu"]),
    "no config file": (["fit", "--config", "nowhere.yaml"], ["nowhere.yaml", "give an existing YAML file"]),
    "an invalid YAML file": (["fit", "--config", "broken.yaml"], ["not plain YAML", "line 1"]),
    "text instead of YAML": (["fit", "--config", "text.yaml"], ["not a YAML mapping of options"]),
    "no such model": (["fit", "--model", "Nonsense"], ["--model", "no class Nonsense"]),
    "no model": (["fit", "--config", "{seed_everything: 1}"], ["--model is required"]),
    "no such command": (["fti"], ["fti", "fit"]),
    "no command": ([], ["give a command"]),
    "no checkpoint yet": (["sample"], ["no checkpoint under checkpoints/ yet", "sequentia fit"]),
    "no run to test": (
        ["test", "--config", CONFIG],
        ["no checkpoint under checkpoints/transformer/ yet", "sequentia fit"],
    ),
    "no run to resume": ([*FIT, "--ckpt_path", "last"], ["no run to resume", "omit --ckpt_path"]),
    "no such checkpoint": (["sample", "--ckpt_path", "nowhere.ckpt"], ["nowhere.ckpt", "give a checkpoint file"]),
    "a file that is not a checkpoint": (["sample", "--ckpt_path", "not_a.ckpt"], ["not_a.ckpt", "not a checkpoint"]),
    "a size of zero": ([*FIT, "--model.n_layer", "0"], ["model.n_layer must be at least 1, got 0"]),
    "a size that no memory holds": ([*FIT, "--model.n_embd", "2000000000"], ["model.n_embd must be at most 1048576"]),
    "sizes that do not divide": ([*FIT, "--model.n_embd", "65"], ["model.n_embd must be a multiple of model.n_head"]),
    "a probability above 1": ([*FIT, "--model.dropout", "1.5"], ["model.dropout must be in [0, 1), got 1.5"]),
    "a negative smoothing": (
        ["fit", "--model", "BigramCounts", "--model.smoothing=-1"],
        ["model.smoothing must be finite and at least 0, got -1.0"],
    ),
    "an n-gram of no tokens": (
        ["fit", "--model", "NGram", "--model.order=0"],
        ["model.order must be at least 1, got 0"],
    ),
    "a negative seed": ([*FIT, "--seed_everything=-1"], ["seed_everything must be in [0, 4294967295], got -1"]),
    "null for data": ([*FIT, "--config", "null.yaml"], ["data.path must not be null: give a value, or omit it"]),
    "a number for a section": ([*FIT, "--config", "trainer.yaml"], ["the section trainer of the config must hold opt"]),
    "a number for a section as an argument": (["fit", "--config", "trainer: 5"], ["--model is required"]),
    "a file for a section": ([*FIT, "--trainer", "nowhere.yaml"], ["--trainer: no config file 'nowhere.yaml': give"]),
    "a number for the model": (["fit", "--config", "model: 5"], ["--model: not a LanguageModel: give the name of a"]),
    "validation every zero epochs": (
        [*FIT, "--trainer.check_val_every_n_epoch", "0"],
        ["trainer.check_val_every_n_epoch must be above 0, got 0"],
    ),
    "a file name that is no format": (
        [*FIT, "--checkpoint.filename", "{"],
        ["checkpoint.filename '{' is not a format string such as 'best-{step}'"],
    ),
    "a file name outside of the run": (
        [*FIT, "--checkpoint.filename", "../../x"],
        ["checkpoint.filename '../../x' gives a path", "give a name without a directory"],
    ),
    "a file name that is a directory because of a metric": (
        [*FIT, "--checkpoint.filename", "{val/loss:.2f}"],
        ["gives a path, 'val/loss=0.00.ckpt'", "set --checkpoint.auto_insert_metric_name false"],
    ),
    "the name of the other checkpoint": ([*FIT, "--checkpoint.filename", "last"], ["give another name"]),
    "a file name that is too long": ([*FIT, "--checkpoint.filename", "x" * 300], ["more than 200 bytes: give a sh"]),
    "an accelerator without its package": (
        [*FIT, "--trainer.accelerator", "tpu"],
        ["a trainer option needs a package that is not installed", "torch_xla"],
    ),
    "a strategy that starts processes from Python": (
        [*FIT, "--trainer.strategy", "ddp_spawn", "--trainer.devices", "2"],
        ["trainer.strategy ddp_spawn is for code without a command line: set --trainer.strategy ddp"],
    ),
    "a tuner of the learning rate": (
        [*FIT, "--trainer.callbacks", "LearningRateFinder"],
        ["LearningRateFinder cannot be used", "compare values of --optimizer.lr"],
    ),
    "a tuner of the batch size": (
        [*FIT, "--trainer.callbacks", "BatchSizeFinder"],
        ["BatchSizeFinder cannot be used", "set --data.batch_size"],
    ),
    "an option that a callback refuses": (
        [*FIT, "--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=a", "--trainer.callbacks.mode=up"],
        ["invalid option: `mode` can be min, max, got up"],
    ),
    "an unknown interval of the schedule": (
        [*FIT, "--lr_scheduler_interval", "day"],
        ["--lr_scheduler_interval: expected one of 'step', 'epoch', got 'day'"],
    ),
    "a bucket for the runs": (
        [*FIT, "--trainer.default_root_dir", "s3://b/runs"],
        ["trainer.default_root_dir s3://b/runs is a URL: give a local directory"],
    ),
    "a secret instead of YAML": (["fit", "--config", "secret.yaml"], ["not a YAML mapping of options"]),
    "a secret list": (["fit", "--config", "secret_list.yaml"], ["not a YAML mapping of options"]),
    "a secret with a syntax error": (["fit", "--config", "secret_broken.yaml"], ["not plain YAML: line 1, column 11"]),
    "a binary file instead of YAML": (["fit", "--config", "binary.yaml"], ["a --config is not text", "in UTF-8"]),
    "a directory instead of YAML": (["fit", "--config", "."], ["no config file", "give an existing YAML file"]),
    "an empty path": ([*FIT, "--data.path", ""], ["no data file '': give a file"]),
    "a path longer than the system allows": (
        ["sample", "--ckpt_path", "x" * 5000],
        ["File name too long", "check its"],
    ),
    "a wrong type for sample": (["sample", "--num_samples", "many"], ["--num_samples", "many", "--help"]),
}


@pytest.fixture
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_in_one_line(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, parts = MISTAKES[mistake]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *before, line = err.splitlines()
    assert line.startswith("sequentia: ")
    assert not [other for other in before if other.startswith("sequentia: ") or "Traceback" in other]
    assert len(line) < 500
    for part in parts:
        assert part in line
    assert "hunter2" not in err, "a file that is no config may be secret"
    assert {str(path) for path in Path().iterdir()} == set(FILES), "a failed start writes nothing"


def test_control_characters_in_an_error_message_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--ckpt_path", "a\x1b[2J\x9bb\u202ec"]) == 2
    err = capsys.readouterr().err
    assert r"a\x1b[2J\x9bb\u202ec" in err
    assert err == printable(err.rstrip("\n")) + "\n"


def shell(script: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a shell script in which `$S` is the command, with the arguments of `options` for `subprocess.run`."""
    environment = os.environ | {"S": f"{sys.executable} -m sequentia"} | options.pop("env", {})
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, env=environment, **options)


# Each starts a process that imports PyTorch; the version is printed like any other result.
SLOW_COMMANDS = [
    pytest.param(f"{command} --ckpt_path best.ckpt", marks=pytest.mark.slow)
    for command in ("sample --num_samples 3", "score emma")
]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", ["--version", *SLOW_COMMANDS])
def test_a_full_stdout_is_a_mistake(command: str, trained: Path) -> None:
    ended = shell(f"cd {trained} && $S {command} >/dev/full")
    assert ended.returncode == 2
    assert ended.stderr == (
        "sequentia: cannot write to stdout: No space left on device; redirect it to a file that can be written\n"
    )


@pytest.mark.parametrize("command", ["--version", *SLOW_COMMANDS])
def test_a_closed_stdout_is_a_mistake_where_results_are_printed(command: str, trained: Path) -> None:
    ended = shell(f"cd {trained} && $S {command} >&-")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("sequentia: cannot write to stdout: ")
    assert ended.stderr.count("\n") == 1


def test_with_a_closed_stderr_no_message_is_printed_to_stdout() -> None:
    ended = shell("$S sample --ckpt_path nowhere 2>&-")
    assert (ended.returncode, ended.stdout) == (2, "")


def test_a_closed_stdin_has_nothing_to_score(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python sets it
    assert main(["score", "--ckpt_path", str(trained)]) == 0
    sys.stdin.close()  # what replaces it is open until the process ends
    assert capsys.readouterr() == ("text\tchars\tnll\n", "")


@pytest.mark.slow  # starts a process
def test_a_process_with_a_closed_stdin_has_nothing_to_score(trained: Path) -> None:
    ended = shell(f"$S score --ckpt_path {trained} <&-")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "text\tchars\tnll\n", "")


def test_a_deleted_working_directory_is_a_mistake(trained: Path, tmp_path: Path) -> None:
    # -P: `python -m` itself would fail to put the working directory on its search path.
    script = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -P -m sequentia sample --ckpt_path {trained}"
    ended = shell(script, cwd=tmp_path, env={"PYTHONPATH": str(Path(__file__).parents[2])})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "sequentia: the working directory has been deleted: change to another one\n"


def test_a_prompt_of_two_hyphens_is_a_prompt(command: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    ended = command("sample", "--ckpt_path", trained, "--prompt=--")
    assert (ended.code, ended.out) == (2, "")
    assert "does not know the character '-' in '--'" in ended.err


def test_a_prompt_of_two_hyphens_is_continued(command: Callable[..., Any], save_run: Callable[..., Path]) -> None:
    ended = command("sample", "--ckpt_path", save_run(Bigram("-a", 8)), "--prompt=--", "--num_samples", 5)
    assert ended.code == 0
    assert [line[:2] for line in ended.out.splitlines()] == ["--"] * 5
