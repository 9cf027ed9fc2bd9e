"""`validate` and `test` print one result in three formats, and record the result of the run itself."""

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.data import CharDataModule
from sequentia.evaluation.evaluate import evaluate
from sequentia.inference.sampling import drafts
from sequentia.runs.checkpoint import load
from tests.training.runs import Uninterrupted

Command = Callable[..., Any]


@pytest.fixture
def run(uninterrupted: Uninterrupted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a run, in the current directory."""
    shutil.copytree(uninterrupted("every 5 steps").parents[2], tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    return Path("checkpoints/transformer/version_0")


@pytest.mark.parametrize(("name", "split"), [("validate", "val"), ("test", "test")])
def test_the_three_formats_and_the_record_are_the_same_result(
    run: Path, command: Command, name: str, split: Any
) -> None:
    printed = {form: command(name, "--format", form).out for form in ("json", "csv", "table")}
    found = json.loads(printed["json"])
    expected = evaluate(load(run / "best.ckpt"), CharDataModule("lines.txt", batch_size=16), split)
    assert found == pytest.approx(expected, abs=1e-9)
    (row,) = csv.DictReader(io.StringIO(printed["csv"]))
    assert {key: float(value) for key, value in row.items()} == found
    table = [re.split(r"  +", line) for line in printed["table"].splitlines()]
    assert [line[0] for line in table] == ["metric", *found]
    for line in table[1:]:
        assert float(line[1].replace(",", "")) == pytest.approx(found[line[0]], abs=5e-5)
    assert re.findall(rf"{split}/loss\D*([\d.]+)", printed["table"])[0] == f"{found[f'{split}/loss']:.4f}"
    recorded = json.loads((run / f"{name}.json").read_text())
    assert recorded.pop("checkpoint_sha256") == hashlib.sha256((run / "best.ckpt").read_bytes()).hexdigest()
    assert recorded.pop("valid") is None
    assert recorded.pop("step") in range(1, 41)
    assert recorded == found


@pytest.mark.parametrize(
    "options",
    [
        ["--ckpt_path", "checkpoints/transformer/version_0/last.ckpt"],
        ["--data.seed", "1"],
        ["--trainer.limit_test_batches", "0.5"],
        ["--trainer.precision", "64-true"],
    ],
)
def test_what_is_no_result_of_the_run_is_printed_but_not_recorded(
    run: Path, command: Command, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sequentia.data.module.batch_positions", lambda size: 64)  # several batches
    result = command("test", "--format", "json", *options)
    assert result.code == 0, result.err
    assert "test.json is not written: " in result.err.splitlines()[-1]
    assert not (run / "test.json").exists()
    assert ("test/samples_novel" in json.loads(result.out)) == ("--data.seed" not in options)


def test_a_run_that_cannot_be_written_to_is_evaluated_all_the_same(run: Path, command: Command) -> None:
    (run / "test.json").mkdir()
    (run / "test.json" / "file").touch()
    result = command("test")
    assert result.code == 0
    assert "test/loss" in result.out
    assert result.err.splitlines()[-1].startswith(
        f"the result is not recorded in the run: cannot write {run}/test.json"
    )


def test_valid_is_the_share_of_samples_that_the_users_function_accepts(
    run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("results_check.py").write_text("def short(text):\n    return len(text) < 5\n")
    found = json.loads(command("test", "--format", "json", "--valid", "results_check:short").out)
    texts = [sample.text for sample in drafts(load(run / "best.ckpt"), 1000, seed=0, max_length=5)]
    assert found["test/samples_valid"] == sum(len(text) < 5 for text in texts) / 1000
    assert json.loads((run / "test.json").read_text())["valid"] == "results_check:short"
    for options, message in (
        (["--valid", "results_check:shrot"], "module 'results_check' has no attribute 'shrot'"),
        (
            ["--valid", "results_check:short", "--data.seed", "1"],
            "--valid measures samples, which needs the lines that the run was trained on: omit --valid",
        ),
    ):
        code, out, err = command("test", *options)
        assert (code, out) == (2, "")
        assert message in err.splitlines()[-1]


@pytest.mark.slow
def test_two_processes_print_the_result_of_one(run: Path, command: Command) -> None:
    """Of the same samples and lines; sums in another order differ in the last digits."""
    one = json.loads(command("test", "--format", "json").out)
    (run / "test.json").unlink()
    options = ["--format=json", "--trainer.strategy=ddp", "--trainer.devices=2"]
    done = subprocess.run(
        [sys.executable, "-m", "sequentia", "test", *options], check=True, stdout=subprocess.PIPE, text=True
    )
    two = json.loads(done.stdout)  # printed once
    assert two == pytest.approx(one, abs=1e-6)
    assert json.loads((run / "test.json").read_text())["test/loss"] == two["test/loss"]
