"""A user's mistake ends with one line on stderr that names the thing and the remedy, exit code 2, no traceback."""

from pathlib import Path

import pytest

from sequentia.cli import main
from sequentia.text import printable

CONFIG = str(Path(__file__).parents[1] / "configs" / "transformer.yaml")
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
    "NUL": ([*FIT, "--data.path", "zeros.bin"], ["zeros.bin", "byte 1 is NUL"]),
    "UTF-16": ([*FIT, "--data.path", "utf16.txt"], ["utf16.txt is not UTF-8"]),
    "gzip by another name": ([*FIT, "--data.path", "packed.txt"], ["packed.txt", "name it .gz"]),
    "damaged gzip": ([*FIT, "--data.path", "broken.gz"], ["broken.gz"]),
    "only long lines": ([*FIT, "--data.path", "long.txt"], ["long.txt", "raise --data.max_length", "1,400"]),
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
    "a batch of nothing": ([*FIT, "--data.batch_size", "0"], ["data.batch_size must be at least 1, got 0"]),
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
    "no model": (["fit"], ["--model"]),
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
    "a wrong type for sample": (["sample", "--num_samples", "many"], ["--num_samples", "many", "--help"]),
}


@pytest.fixture
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("default")  # whole commands, in which Lightning triggers warnings
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
    assert not list(Path("checkpoints").glob("*/*")), "a failed start leaves no run"


def test_control_characters_in_an_error_message_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--ckpt_path", "a\x1b[2J\x9bb\u202ec"]) == 2
    err = capsys.readouterr().err
    assert r"a\x1b[2J\x9bb\u202ec" in err
    assert err == printable(err.rstrip("\n")) + "\n"
