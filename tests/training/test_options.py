"""A run owns its configuration: resuming and evaluating start from the options that it recorded."""

import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
import torch
import yaml

import sequentia
from sequentia.cli import main
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.training.options import Given
from tests.conftest import CommandResult
from tests.training.runs import LINES

GRU = ["--config", str(Path(__file__).parents[2] / "configs" / "gru.yaml")]
OPTIONS = ["--data.path", "brands.txt", "--model.n_hidden", "8", "--data.seed", "3", "--trainer.max_steps", "6"]
TRAINER = ["--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "1"]

Run = Callable[..., CommandResult]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with brands.txt, and a run on it with options of its own."""
    home = tmp_path_factory.mktemp("brands")
    (home / "brands.txt").write_text("".join(f"{line}\n" for line in LINES))
    with chdir(home):
        assert main(["fit", *GRU, *OPTIONS, *TRAINER]) == 0
    return home


@pytest.fixture
def brands(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a copy of that run, in the working directory."""
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    run = Path("checkpoints/gru/version_0")
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace(str(home), str(tmp_path)))
    return run


def recorded(run: Path) -> dict:
    return yaml.safe_load((run / "config.yaml").read_text())


def test_the_first_argument_is_the_data_or_the_run_to_evaluate(command: Run, brands: Path) -> None:
    options = ["--config", "bigram", "--trainer.max_steps", "1", "--trainer.accelerator", "cpu"]
    assert command("fit", "brands.txt", *options).code == 0
    assert recorded(Path("checkpoints/bigram/version_0"))["data"]["path"] == str(Path("brands.txt").absolute())
    named = command("test", "gru", "--format", "json")
    assert named.code == 0
    assert named.out == command("test", "--ckpt_path", brands, "--format", "json").out
    assert command("test", "gru", "--nope").err.endswith("no option --nope; see `sequentia test --help`\n")


@pytest.mark.parametrize("arguments", [[*GRU, "--ckpt_path", "last"], ["--ckpt_path", "last"]], ids=["config", "bare"])
def test_a_resumed_run_keeps_its_own_data_and_options(command: Run, brands: Path, arguments: list[str]) -> None:
    before = recorded(brands)
    result = command("fit", *arguments, "--trainer.max_steps", "9")
    assert result.code == 0, result.err
    before["trainer"]["max_steps"] = 9
    assert recorded(brands) == before
    assert "  trainer.max_steps changed: 6 -> 9\n" in result.err
    assert result.err.count("changed:") == 1
    assert read_checkpoint(brands / "last.ckpt")["global_step"] == 9
    assert [path.name for path in brands.parent.iterdir()] == ["version_0"]


def test_an_interval_of_time_is_recorded_as_it_was_given(command: Run, brands: Path) -> None:
    options = ["--trainer.max_steps=7", "--trainer.callbacks=EarlyStopping", "--trainer.callbacks.monitor=val/loss"]
    assert command("fit", "--ckpt_path=last", *options, "--trainer.val_check_interval", "01:00:00").code == 0
    assert recorded(brands)["trainer"]["val_check_interval"] == "01:00:00"


def test_a_changed_split_is_logged_with_the_leak_that_it_causes(command: Run, brands: Path) -> None:
    result = command("fit", "--ckpt_path", "last", "--trainer.max_steps", "8", "--data.seed", "4")
    assert result.code == 0
    assert "  data.seed changed: 3 -> 4 (validation and test lines may have been trained on" in result.err


@pytest.mark.usefixtures("brands")
def test_data_that_has_changed_is_refused_unless_it_is_given(command: Run, brands: Path) -> None:
    before = (brands / "last.ckpt").read_bytes()
    Path("brands.txt").write_text(Path("brands.txt").read_text() + "bala\n")
    resume = ["fit", "--ckpt_path", "last", "--trainer.max_steps", "8"]
    result = command(*resume)
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        "sequentia: brands.txt has changed since checkpoints/gru/version_0 was started: restore it, or train on the "
        "new lines with --data.path"
    )
    assert (brands / "last.ckpt").read_bytes() == before
    assert "brands.txt has changed since" in command("test").err
    given = command(*resume, "--data.path", "brands.txt")
    assert given.code == 0
    assert "  the lines of brands.txt changed: validation and test lines may have been trained on" in given.err


@pytest.mark.parametrize("name", ["test", "validate"])
def test_an_evaluation_uses_the_data_and_the_split_of_the_run(command: Run, brands: Path, name: str) -> None:
    expected = command(name, "--ckpt_path", str(brands / "best.ckpt"))
    assert "evaluating checkpoints/gru/version_0/best.ckpt on brands.txt\n" in expected.err
    assert "changed:" not in expected.err
    for arguments in ([], GRU, ["--ckpt_path", "checkpoints/gru"]):
        assert command(name, *arguments).out == expected.out != ""
    other = command(name, "--data.seed", "5")
    assert "  data.seed changed: 3 -> 5" in other.err
    assert other.out != expected.out


def test_limits_of_the_run_do_not_apply_to_its_evaluation(command: Run, brands: Path) -> None:
    expected = command("validate").out
    config = recorded(brands)
    config["trainer"]["limit_val_batches"] = 0
    (brands / "config.yaml").write_text(yaml.safe_dump(config))
    assert command("validate").out == expected != ""


def test_a_checkpoint_without_its_configuration_needs_the_data(command: Run, brands: Path) -> None:
    (brands / "config.yaml").unlink()
    result = command("test", "--ckpt_path", brands / "best.ckpt")
    assert result.code == 2
    assert "no config.yaml beside checkpoints/gru/version_0/best.ckpt" in result.err
    assert "give --data.path" in result.err
    assert command("test", "--ckpt_path", brands / "best.ckpt", "--data.path", "brands.txt").code == 0


@pytest.mark.usefixtures("brands")
@pytest.mark.parametrize("data", [[], ["--data.path", "brands.txt"]], ids=["bare", "data"])
def test_a_checkpoint_alone_starts_a_new_run_of_its_architecture_and_sizes(command: Run, data: list[str]) -> None:
    trained = shutil.copy("checkpoints/gru/version_0/best.ckpt", "only one.ckpt")
    refused = command("fit", "--ckpt_path", trained, *data)
    assert refused.code == 2
    found = re.fullmatch(
        "sequentia: no config.yaml beside only one.ckpt, which would name its options: start a new run with (.*)",
        refused.err.splitlines()[-1],
    )
    assert found is not None
    remedy = shlex.split(found[1].replace("FILE", "brands.txt"))
    result = command("fit", *remedy, *TRAINER, "--trainer.max_steps", "2")
    assert result.code == 0
    assert "initialized from only one.ckpt" in result.err
    new = recorded(Path("checkpoints/gru/version_1"))
    old = recorded(Path("checkpoints/gru/version_0"))
    assert [new[name] for name in ("model", "optimizer", "lr_scheduler")] == [
        old[name] for name in ("model", "optimizer", "lr_scheduler")
    ]
    other = command("fit", "--model", "MLP", *remedy)
    assert "is of class GRU, but the options ask for MLP: give --model GRU" in other.err
    model = sequentia.fit("brands.txt", init_from=trained, max_steps=1, accelerator="cpu", extra_metrics=False)
    assert model.hparams["n_hidden"] == 8


def test_a_checkpoint_that_only_counted_is_counted_anew(command: Run, brands: Path) -> None:
    counted = [*TRAINER, "--data.path", "brands.txt", "--trainer.default_root_dir", "counted"]
    assert command("fit", "--config", "bigram_counts", *counted).code == 0
    Path("counted/version_0/config.yaml").unlink()
    refused = command("fit", "--ckpt_path", "counted/version_0/best.ckpt")
    assert "start a new run with --model BigramCounts --data.path FILE" in refused.err


@pytest.mark.parametrize(
    ("arguments", "root"),
    [
        ([], "checkpoints/mixture"),
        (["--model.n_layer", "2"], "checkpoints/transformer"),
        (["--ckpt_path", "last"], None),
        (["--model", "sequentia.models.BagOfWords"], "checkpoints/bow"),
        (["--model", "{class_path: GRU, init_args: {n_hidden: 8}}", "--ckpt_path=last"], "checkpoints/gru"),
        (["--model.class_path", "my_module.Mine"], "checkpoints/mine"),
        (["--config", "gru"], "checkpoints/gru"),
        (["--config", f"model: MLP {'#' * 300}"], "checkpoints/mlp"),
        (["-c", "own.yaml"], "checkpoints/own"),
        (["--config=own.yaml", "--config=other.yaml"], "there"),
        (["--config", "other.yaml", "--trainer.default_root_dir=here"], "here"),
    ],
)
def test_the_arguments_name_the_directory_of_runs(
    arguments: list[str], root: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text("trainer: {max_steps: 3}\n")
    Path("other.yaml").write_text("trainer: {default_root_dir: there}\ndata: {path: x.txt}\n")
    given = Given("fit", arguments)
    assert given.root == (root and Path(root))
    assert given.sets_data == any("other" in argument for argument in arguments)


def test_a_config_from_a_pipe_is_read_once(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("".join(f"{line}\n" for line in LINES))
    reading, writing = os.pipe()
    os.write(writing, b"model: {class_path: GRU, init_args: {n_hidden: 8}}\ntrainer: {max_steps: 2}\n")
    os.close(writing)
    assert command("fit", "--config", f"/dev/fd/{reading}", "--data.path", "names.txt", *TRAINER).code == 0
    os.close(reading)
    assert read_checkpoint(Path("checkpoints/gru/version_0/last.ckpt"))["global_step"] == 2


@pytest.mark.usefixtures("brands")
def test_a_run_is_resumed_and_initialized_by_options_alone_and_by_one_of_them(command: Run) -> None:
    for arguments, message in (
        (["fit", "--config=gru", "--config=ckpt_path: last"], "ckpt_path is set in a --config: give --ckpt_path"),
        (["fit", "--ckpt_path", "last", "--init_from", "checkpoints"], "--init_from starts a new run"),
        (["test", "--init_from", "checkpoints"], "--init_from starts a new run"),
    ):
        result = command(*arguments)
        assert (result.code, result.out) == (2, "")
        assert message in result.err.splitlines()[-1]


def test_apples_gpu_is_never_the_default(command: Run, brands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert command("fit", "--config", "bigram_counts", "--data.path", "brands.txt").code == 0
    assert recorded(Path("checkpoints/bigram_counts/version_0"))["trainer"]["accelerator"] == "cpu"
