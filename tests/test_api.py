"""`sequentia.fit` is the command `fit` inside a program, which it leaves as it was."""

import io
import logging
import random
import signal
import threading
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import CSVLogger

import sequentia
from sequentia.api import save_lines
from sequentia.errors import UserError
from sequentia.inference.batch import Batch
from sequentia.models import GRU, Bigram
from sequentia.text import in_python
from tests.conftest import NAMES, CommandResult

LINES = NAMES * 3
UNUSUAL = ["a b", "emma", "zoë", "李"]  # sorted
TINY: dict[str, Any] = {"model": "Bigram", "max_steps": 4, "accelerator": "cpu", "data__batch_size": 4}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("".join(f"{line}\n" for line in LINES))


def recorded(run: str) -> dict[str, Any]:
    return yaml.safe_load(Path(run, "config.yaml").read_text())


def test_fit_trains_the_same_run_as_the_command(
    command: Callable[..., CommandResult], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", "gru", "--data.path", "names.txt", "--trainer.max_steps", "4", "--model.n_hidden", "8"]
    result = command("fit", *arguments, "--trainer.accelerator", "cpu", "--data.val_fraction", "0.3")
    assert result.code == 0
    options: dict[str, Any] = {"max_steps": 4, "model__n_hidden": 8, "accelerator": "cpu", "data__val_fraction": 0.3}
    model = sequentia.fit("names.txt", config="gru", **options)
    *log, sample, show, resume = capsys.readouterr().err.splitlines()
    *expected, _, _, _ = map(in_python, result.err.splitlines())
    assert [line.replace("version_1", "version_0") for line in log] == expected
    assert any("; max_steps changes the length" in line for line in log)
    assert sample == '  sample   sequentia.load("checkpoints/gru/version_1").sample(20)'
    assert show == "  curves   tensorboard --logdir checkpoints"
    assert resume == '  resume   sequentia.fit(ckpt_path="checkpoints/gru/version_1", max_steps=8)'
    assert recorded("checkpoints/gru/version_1") == recorded("checkpoints/gru/version_0")
    assert isinstance(model, GRU)
    assert not model.training
    for run in ("version_0", "version_1"):
        best = sequentia.load(f"checkpoints/gru/{run}").state_dict()
        assert all(torch.equal(weight, best[name]) for name, weight in model.state_dict().items())


def test_the_model_with_the_lowest_validation_loss_is_returned() -> None:
    growing: dict[str, Any] = {"optimizer__lr": 1000.0, "optimizer": "torch.optim.SGD", "lr_scheduler": None}
    model = sequentia.fit(LINES, **TINY, **growing, data__val_path="names.txt", val_check_interval=1)
    run = Path("checkpoints/bigram/version_0")
    best, last = (torch.load(run / name, weights_only=True) for name in ("best.ckpt", "last.ckpt"))
    assert best["global_step"] < last["global_step"]
    (weights,) = model.parameters()
    assert torch.equal(weights, *best["state_dict"].values())


def test_a_trial_run_saves_nothing_and_returns_the_model() -> None:
    model = sequentia.fit(LINES, **TINY, fast_dev_run=True)
    assert isinstance(model, Bigram)
    assert not list(Path("checkpoints").glob("**/*.ckpt"))


def test_lines_are_saved_once_and_the_command_resumes_their_run(command: Callable[..., CommandResult]) -> None:
    sequentia.fit(iter(LINES), **TINY)
    sequentia.fit(LINES, **TINY)
    (saved,) = Path("checkpoints/lines").iterdir()
    assert saved.read_text().splitlines() == LINES
    run = "checkpoints/bigram/version_1"
    assert recorded(run)["data"]["path"] == str(saved.absolute())
    result = command("fit", "--ckpt_path", "last", "--trainer.max_steps", "6")
    assert result.code == 0
    assert f"resuming {run}/last.ckpt at step 4" in result.err
    assert isinstance(sequentia.fit(ckpt_path=run, max_steps=8), Bigram)
    assert torch.load(f"{run}/last.ckpt", weights_only=True)["global_step"] == 8


def test_a_new_run_starts_from_another_model() -> None:
    sequentia.fit(LINES, **TINY)
    sequentia.fit([*LINES, "yx"], **TINY, init_from="checkpoints/bigram")
    assert recorded("checkpoints/bigram/version_1")["init_from"] == str(Path.cwd() / "checkpoints/bigram")


def host() -> list[Any]:
    """What a program may have set."""
    loggers = [logging.getLogger(name) for name in ("sequentia", "py.warnings", "lightning.pytorch")]
    return [
        *((logger.level, logger.propagate, logger.handlers) for logger in loggers),
        warnings.showwarning,
        list(warnings.filters),
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        random.getstate(),
        np.random.get_state()[1].tolist(),  # type: ignore[index]
        torch.get_rng_state().tolist(),
    ]


def test_the_program_is_left_as_it_was() -> None:
    before = host()
    sequentia.fit(LINES, **TINY)
    assert host() == before
    with pytest.raises(UserError, match="max_steps"):
        sequentia.fit(LINES, **TINY | {"max_steps": 0})
    assert host()[:5] == before[:5]


def test_a_program_that_has_set_up_the_logger_gets_the_lines(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("sequentia")
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    with caplog.at_level("INFO", "sequentia"):
        sequentia.fit(LINES, **TINY)
    assert "starting run checkpoints/bigram/version_0" in caplog.text
    assert "starting run" not in capsys.readouterr().err


def test_callbacks_and_loggers_are_objects_as_in_lightning() -> None:
    stop = EarlyStopping("val/loss", divergence_threshold=0.1)
    logger = CSVLogger("curves")
    options = TINY | {"data__val_path": "names.txt", "val_check_interval": 1}
    sequentia.fit(LINES, **options, callbacks=[stop], logger=logger)
    assert stop.stopped_epoch == 0
    assert stop.stopping_reason_message
    assert Path(logger.log_dir, "metrics.csv").is_file()
    assert torch.load("checkpoints/bigram/version_0/last.ckpt", weights_only=True)["global_step"] == 1
    assert recorded("checkpoints/bigram/version_0")["trainer"]["callbacks"] is None


def test_options_are_any_plain_values_and_classes() -> None:
    options = TINY | {"model": GRU, "max_steps": np.int64(2), "model__n_hidden": np.int32(8), "lr_scheduler": None}
    options |= {"optimizer": "Adam", "optimizer__betas": np.array([0.5, 0.75]), "data__seed": torch.tensor(3)}
    sequentia.fit(Path("names.txt"), **options, data__val_fraction=np.float32(0.25), extra_metrics=np.bool_(False))
    config = recorded("checkpoints/gru/version_0")
    assert config["trainer"]["max_steps"] == 2
    assert config["model"]["init_args"]["n_hidden"] == 8
    assert config["optimizer"]["init_args"]["betas"] == [0.5, 0.75]
    assert (config["data"]["seed"], config["extra_metrics"]) == (3, False)
    assert (config["lr_scheduler"], config["data"]["val_fraction"]) == (None, 0.25)
    with pytest.raises(UserError, match="data__seed must be a number, a string, a list or a mapping, got <object"):
        sequentia.fit(LINES, data__seed=object())


def test_fit_runs_in_another_thread() -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(sequentia.fit(LINES, **TINY)))
    thread.start()
    thread.join()
    assert isinstance(found[0], Bigram)


def test_ctrl_c_saves_the_run_and_raises_keyboard_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Bigram, batch: Batch) -> torch.Tensor:
        if self.trainer.global_step == 2:
            signal.raise_signal(signal.SIGINT)
        return training_loss(self, batch)

    training_loss = Bigram.training_loss
    monkeypatch.setattr(Bigram, "training_loss", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sequentia.fit(LINES, **TINY)
    assert torch.load("checkpoints/bigram/version_0/last.ckpt", weights_only=True)["global_step"] == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere.txt", "no data file 'nowhere.txt': give a file"),
        (["emma", 3], "item 1 of the data is 3, not a string"),
        (["emma", "a\nb"], r"item 1 of the data has the character '\\n': each item must be one line"),
        ([], "the data has no items"),
        (5, "must be a list, a column or another iterable of strings, got 5"),
        ("emma\nava\n", r"^the data is a text of 9 characters, not a path: .* \(text.splitlines\(\)\)$"),
        ("emma " * 99, "^the data is a text of 495 characters, not a path"),
        (io.StringIO(), "the data has no items"),
        (io.BytesIO(b"zo\xeb"), "the open file cannot be read: 'utf-8' codec can't decode byte 0xeb"),
    ],
)
def test_invalid_data_is_refused(data: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        sequentia.fit(data, **TINY)
    assert not Path("checkpoints").exists()


@pytest.mark.parametrize(
    "lines",
    [
        tuple(UNUSUAL),
        iter(UNUSUAL),
        dict.fromkeys(UNUSUAL).keys(),
        np.array(UNUSUAL),
        io.StringIO("\n".join(UNUSUAL)),
        io.BytesIO("\r\n".join(UNUSUAL).encode()),
    ],
)
def test_any_iterable_of_the_same_lines_gives_the_same_file(lines: Iterable[str]) -> None:
    path = save_lines(lines, Path("runs"))
    assert path.parent == Path("runs/lines")
    assert path == save_lines(set(UNUSUAL), Path("runs")) == save_lines(UNUSUAL, Path("runs"))
    assert path.read_text(encoding="utf-8").split("\n") == [*UNUSUAL, ""]
    assert path != save_lines(["".join(UNUSUAL)], Path("runs"))


def test_strings_are_examples_whatever_file_they_would_make() -> None:
    assert ">" in sequentia.fit([">x", "abc", ">y", "abd"] * 4, **TINY).vocabulary.characters


def test_data_is_given_once() -> None:
    with pytest.raises(UserError, match="the data is given twice"):
        sequentia.fit("names.txt", data__path="names.txt")


def test_a_model_is_evaluated_on_the_held_out_lines_of_its_run(command: Callable[..., CommandResult]) -> None:
    model = sequentia.fit("names.txt", **TINY, data__test_fraction=0.5)
    metrics = sequentia.evaluate(model, num_samples=5)
    data = sequentia.CharDataModule("names.txt", test_fraction=0.5)
    lines = [LINES[i] for i in data.split.test]
    scores = model.score(lines)
    nll = sum(score.nll for score in scores) / sum(len(score.log_probs) for score in scores)
    assert metrics["test/loss"] == pytest.approx(nll, rel=1e-5)
    assert metrics["test/lines"] == len(lines) > 0
    assert metrics == sequentia.evaluate(sequentia.load(), data, num_samples=5)
    Path("names.txt").write_text("emma\nava\nolivia\n")
    with pytest.raises(UserError, match=r"names\.txt has changed since checkpoints/bigram/version_0 was started"):
        sequentia.evaluate(sequentia.load())


def test_a_new_model_needs_the_data_to_be_evaluated() -> None:
    with pytest.raises(UserError, match="was not loaded from a run: give the data"):
        sequentia.evaluate(Bigram("ab", 4))
    invalid: Any = "names.txt"
    with pytest.raises(UserError, match="data must be a CharDataModule, got a str"):
        sequentia.evaluate(Bigram("ab", 4), invalid)
