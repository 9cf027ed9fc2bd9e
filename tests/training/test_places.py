"""Whatever the working directory, and however a path is written, a command finds the same files."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import sequentia
from sequentia.data.paths import located, missing, plain
from sequentia.errors import UserError
from tests.conftest import CommandResult
from tests.training.runs import LINES

Run = Callable[..., CommandResult]
FIT = ["fit", "--model", "Bigram", "--trainer.max_steps", "2", "--trainer.accelerator", "cpu", "--extra_metrics=false"]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own home directory, and a working directory below it with the data."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, lines in (("names.txt", LINES), ("more/a.txt", LINES[:9]), ("val [1].txt", LINES[:5])):
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_a_run_finds_its_data_from_any_directory(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["--data.path", "[names.txt, more/*.txt]", "--data.val_path", "val [1].txt"]
    assert command(*FIT, *given).code == 0
    run = tmp_path / "work" / "checkpoints" / "bigram" / "version_0"
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["val_path"] == str(tmp_path / "work/val [1].txt")
    expected = command("validate")
    again = command("fit", "--ckpt_path", "last", "--trainer.max_steps", "3", *given)
    assert again.err.count("changed:") == again.err.count("trainer.max_steps changed: 2 -> 3") == 1
    monkeypatch.chdir(tmp_path / "elsewhere")
    results = [
        command("validate", "--ckpt_path", run),
        command("fit", "--ckpt_path", run, "--trainer.max_steps", "4"),
        command("sample", "--ckpt_path", run, "--novel", "--num_samples", "1"),
    ]
    assert [result.code for result in results] == [0, 0, 0]
    assert len(results[0].out.splitlines()) == len(expected.out.splitlines())
    assert "samples_novel" in results[0].out  # its own data
    assert sequentia.evaluate(sequentia.load(run), split="val", num_samples=0)["val/lines"] == 5


def test_data_that_has_gone_is_named_with_the_option_or_parameter_that_replaces_it(command: Run) -> None:
    command(*FIT, "--data.path", "names.txt")
    before = Path.cwd() / "names.txt"
    moved = before.rename("moved.txt")
    commands = (["test"], ["fit", "--ckpt_path", "last", "--trainer.max_steps", "3"])
    for arguments in commands:
        result = command(*arguments)
        assert result.err.splitlines()[-1] == (
            f"sequentia: no data file {before}, which the run recorded: restore it, or give --data.path"
        )
        assert command(*arguments, "--data.path", moved).code == 0
    before.with_name("moved.txt").rename("again.txt")
    model = sequentia.load()
    with pytest.raises(UserError, match=r"no data file .*moved\.txt: restore it, or give the data as CharDataModule"):
        sequentia.evaluate(model)
    assert sequentia.evaluate(model, sequentia.CharDataModule("again.txt"), num_samples=0)


def test_a_tilde_is_expanded_in_every_path(command: Run, tmp_path: Path) -> None:
    Path("own.yaml").write_text("data: {path: ~/work/names.txt}\ntrainer: {default_root_dir: ~/runs}\n")
    first = command(*FIT, "--config", "~/work/own.yaml")
    run = tmp_path / "runs" / "version_0"
    assert f"starting run {run}:" in first.err
    (next_command,) = (line for line in first.err.splitlines() if line.startswith("  resume "))
    assert command(*shlex.split(next_command)[2:]).code == 0
    assert command(*FIT, "--data.path=~/work/*.txt", "--init_from=~/runs", "--trainer.default_root_dir=~/new").code == 0
    assert command("score", "--ckpt_path", "~/new/version_0", "--path", "~/work/more/a.txt").out.count("\n") == 10
    assert command("sample", "--ckpt_path", "~/new", "--avoid", "~/work/more/a.txt", "--num_samples", "1").code == 0
    assert command("report", "~/new", "--out", "~/report.txt").code == 0
    sequentia.fit(["ab", "ba"] * 9, model="Bigram", max_steps=1, default_root_dir="~/lists", extra_metrics=False)
    assert sequentia.load("~/lists").vocabulary.characters == "ab"
    assert sequentia.CharDataModule("~/work/names.txt").vocabulary == sequentia.load("~/runs").vocabulary
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"work", "elsewhere", "runs", "new", "lists", "report.txt"}
    assert not Path("~").exists()


def test_local_paths_become_absolute_and_others_stay(tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert sequentia.CharDataModule([Path("names.txt"), "more/a.txt"], Path("val [1].txt")).context_length > 1
    assert located(plain(["names.txt", Path("more/../names.txt"), "file://names.txt", "more/*.txt"])) == [
        *([str(work / "names.txt")] * 3),
        str(work / "more/*.txt"),
    ]
    for path in (None, "names", "-", "https://a.org/names.txt", "memory://a", str(work / "names.txt")):
        assert located(plain(path)) == path
        assert missing(path) is None
    assert missing(["names.txt", "more/*.tsv"]) == "more/*.tsv"
