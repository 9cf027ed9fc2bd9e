"""A user's mistake ends with one line on stderr that names the thing and the remedy, exit code 2, no traceback."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sequentia.cli import main
from sequentia.text import printable

CONFIG = str(Path(__file__).parents[2] / "configs" / "transformer.yaml")
FIT = ["fit", "--config", CONFIG]

FILES: dict[str, bytes] = {
    "empty.txt": b"",
    "long.txt": b"x" * 1300 + b"\n" + b"y" * 1400 + b"\n",
    "misspelt.yaml": b"model: Transformer\ntrainer:\n  max_stepz: 3\n",
    "not_a.ckpt": b"hello\n",
    "trainer.yaml": b"trainer: 5\n",
    "secret.yaml": b"password hunter2\n",
    "secret_broken.yaml": b"password: [hunter2\nx: }\n",
    "nothing.yaml": b"# model: MLP\n",
}
MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "no such file": ([*FIT, "--data.path", "nowhere.txt"], ["nowhere.txt", "give a file"]),
    "a name in another encoding": ([*FIT, "--data.path", "donn\udce9es.txt"], ["not valid UTF-8: rename it"]),
    "an empty file": ([*FIT, "--data.path", "empty.txt"], ["empty.txt has no text", "give another file"]),
    "only long lines": (
        [*FIT, "--data.path", "long.txt"],
        ["long.txt has too few lines: 0 of at most max_length 256", "with long_lines split"],
    ),
    "an unknown option": ([*FIT, "--epochs", "3"], ["--epochs", "did you mean", "--trainer.max_epochs"]),
    "an unknown option of the model": ([*FIT, "--model.n_layr", "3"], ["n_layr", "did you mean --model.n_layer?"]),
    "an option like no other": ([*FIT, "--qqq", "3"], ["--qqq", "see `sequentia fit --help_all`"]),
    "an option without a value": (["fit", "--config"], ["--config", "expected one argument"]),
    "an option misspelt in YAML": (
        ["fit", "--config", "misspelt.yaml"],
        ["no option --trainer.max_stepz", "--trainer.max_steps"],
    ),
    "a wrong type": ([*FIT, "--data.batch_size", "abc"], ["--data.batch_size: expected int, got 'abc'"]),
    "a wrong type for the model": ([*FIT, "--model.n_layer", "two"], ["--model.n_layer: expected int, got 'two'"]),
    "an invalid time": ([*FIT, "--checkpoint.train_time_interval", "5 minutes"], ["train_time_interval", "h:m:s"]),
    "none of the choices": ([*FIT, "--lr_scheduler_interval", "day"], ["expected one of 'step', 'epoch', got 'day'"]),
    "a value out of range": ([*FIT, "--data.batch_size", "0"], ["batch_size must be at least 1, got 0"]),
    "no steps": ([*FIT, "--trainer.max_steps", "0"], ["max_steps must be at least 1", "got 0"]),
    "a negative seed": ([*FIT, "--seed_everything=-1"], ["seed_everything must be in [0, 4294967295], got -1"]),
    "a negative learning rate": ([*FIT, "--optimizer.lr=-1"], ["optimizer", "lr must be at least 0", "got -1.0"]),
    "an unknown accelerator": ([*FIT, "--trainer.accelerator", "quantum"], ["quantum", "cpu"]),
    "a missing package": ([*FIT, "--trainer.accelerator", "tpu"], ["package that is not installed", "torch_xla"]),
    "no config file": (
        ["fit", "--config", "nowhere.yaml"],
        ["nowhere.yaml", "give an existing YAML", "bigram, bigram_counts,", "gru, lstm"],
    ),
    "no class": (["fit", "--model", "Nonsense"], ["--model: no class Nonsense"]),
    "another class": (
        ["fit", "--model", "torch.nn.Linear"],
        ["--model: ", "a subclass of LanguageModel"],
    ),
    "no model": (["fit", "--config", "{seed_everything: 1}"], ["--model is required"]),
    "no checkpoint yet": (["sample"], ["no checkpoint under checkpoints/ yet", "sequentia fit"]),
    "no run to test": (["test", "--config", "gru"], ["no checkpoint under checkpoints/gru/ yet", "sequentia fit"]),
    "no run to resume": ([*FIT, "--ckpt_path", "last"], ["no run to resume"]),
    "no such checkpoint": (
        ["sample", "--ckpt_path", "nowhere.ckpt"],
        ["no checkpoint nowhere.ckpt"],
    ),
    "a file that is not a checkpoint": (["sample", "--ckpt_path", "not_a.ckpt"], ["not_a.ckpt", "not a checkpoint"]),
    "a number for a section": ([*FIT, "--config", "trainer.yaml"], ["the section trainer of the config must hold opt"]),
    "an option that a callback refuses": (
        [*FIT, "--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=a", "--trainer.callbacks.mode=up"],
        ["invalid or conflicting options: `mode` can be min, max, got up"],
    ),
    "a bucket for the runs": ([*FIT, "--trainer.default_root_dir", "s3://b/runs"], ["s3://b/runs is a URL", "local"]),
    "a secret instead of YAML": (
        ["fit", "--config", "secret.yaml"],
        ["secret.yaml is a single value, not a YAML mapping of options"],
    ),
    "a secret with a syntax error": (
        ["fit", "--config", "secret_broken.yaml"],
        ["secret_broken.yaml is not plain YAML in UTF-8: line 1, column 11"],
    ),
    "an empty config": (["fit", "--config", "nothing.yaml"], ["nothing.yaml is empty"]),
    "a missing argument of a class": (
        [*FIT, "--lr_scheduler", "StepLR"],
        ["--lr_scheduler: StepLR needs step_size: give --lr_scheduler.step_size VALUE, or init_args"],
    ),
    "an option of a class": (
        [*FIT, "--trainer.callbacks=EarlyStopping", "--trainer.callbacks.monitr=a"],
        ["no option --trainer.callbacks.monitr: did you mean --trainer.callbacks.monitor?"],
    ),
    "a monitor that no metric has": (
        [*FIT, "--trainer.callbacks=EarlyStopping", "--trainer.callbacks.monitor=val_loss"],
        ["the monitor of EarlyStopping is 'val_loss'", "did you mean val/loss?", "train/loss", "val/samples_novel"],
    ),
    "a monitor without held-out lines": (
        [*FIT, "--trainer.callbacks=EarlyStopping", "--trainer.callbacks.monitor=val/loss", "--data.val_fraction=0"],
        ["is 'val/loss', which is not measured, because no lines are held out"],
    ),
    "an interval that is no time": (
        [*FIT, "--trainer.val_check_interval", "1 hour"],
        ["trainer.val_check_interval '1 hour' is not a time", "00:10:00"],
    ),
    "another program's option": ([*FIT, "--learning-rate=1"], ["--learning-rate: did you mean --optimizer.lr?"]),
    "an option without its section": ([*FIT, "--max_steps=3"], ["did you mean --trainer.max_steps?"]),
    "data twice": (["fit", "empty.txt", "--data.path=long.txt"], ["empty.txt and --data.path are both given"]),
    "one more file without its option": (["fit", "empty.txt", "long.txt"], ["did you mean --data.path+ long.txt?"]),
    "a config without its option": (["fit", "gru"], ["did you mean --config gru?"]),
    "data as a section": (["fit", "--data", "empty.txt"], ["did you mean --data.path empty.txt?"]),
    "a class in small letters": (["fit", "--model", "lstm"], ["--model: no class lstm: did you mean LSTM?"]),
    "another program's command": (["train"], ["invalid choice: 'train'", "did you mean fit?"]),
    "a run without its option": (["plot", "pairs.png", "."], ["did you mean --ckpt_path .?"]),
    "a run twice": (["sample", "gru", "--ckpt_path=gru"], ["--ckpt_path: not allowed with argument RUN"]),
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
    for part in parts:
        assert part in line
    assert "hunter2" not in err, "a file that is not a config may be secret"
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
