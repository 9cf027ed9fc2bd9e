"""A new run starts from the weights of another model, matched by character and position."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sequentia.errors import UserError
from sequentia.models import GRU, Bigram, BigramCounts, LanguageModel, Transformer
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.training.loop.finetuning import initialize
from tests.models.test_laws import build
from tests.training.runs import ForkServer, Uninterrupted, arguments, same_runs, the_run

PATH = Path("run") / "best.ckpt"
RATE = "; hidden matrices learn at 0.1 times the learning rate"


def test_one_line_logs_what_is_known() -> None:
    text = initialize(Transformer("ABabcx", 30), build("Transformer", "abcd", 16), PATH)
    counts = "3 of 6 characters known, 3 new, of which 2 start as a related one"
    assert text == f"initialized from {PATH}: {counts}; positions 16 -> 30{RATE}"
    assert (
        initialize(GRU("ab", 30, dropout=0.3), GRU("ab", 16), PATH)
        == f"initialized from {PATH}: 2 of 2 characters known{RATE}"
    )
    known = f"initialized from {PATH}: 2 of 2 characters known"
    assert initialize(Bigram("ab", 30), Bigram("ab", 16), PATH) == known  # it has no hidden matrix


@pytest.mark.parametrize(
    ("model", "trained", "message"),
    [
        (
            GRU("ab", 5),
            Transformer("ab", 5),
            f"{PATH} is of class Transformer, but the options ask for GRU: give --model Transformer, or another "
            "checkpoint",
        ),
        (
            Transformer("ab", 5, n_layer=1, tied=False),
            Transformer("ab", 5, n_layer=2),
            f"the model of {PATH} has n_layer 2 (not 1), tied True (not False): give its values as --model options, or "
            "another checkpoint",
        ),
        (
            BigramCounts("ab", 5),
            BigramCounts("ab", 5),
            f"{PATH} is of class BigramCounts, which has no weights to start from: omit --init_from",
        ),
    ],
)
def test_weights_that_would_not_fit_or_change_their_meaning_are_refused(
    model: LanguageModel, trained: LanguageModel, message: str
) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(UserError) as error:
        initialize(model, trained, PATH)
    assert str(error.value) == message
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


EVERY = "every 5 steps"
TUNE = [*arguments(EVERY), "--data.path", "other.txt", "--init_from", "pretrained"]


@pytest.fixture
def cwd(tmp_path: Path, uninterrupted: Uninterrupted) -> Path:
    """A pretrained run, and data with other characters and longer lines."""
    shutil.copytree(uninterrupted(EVERY), tmp_path / "pretrained")
    lines = [a + b + c for a in "BDKLM" for b in "aeiouäö" for c in ("la", "n", " rin", "", "tte von")]
    (tmp_path / "other.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def recorded(run: Path) -> Any:
    return yaml.safe_load((run / "config.yaml").read_text())["init_from"]


def test_a_new_run_starts_at_step_0_from_the_best_weights_of_the_run(fit: ForkServer, cwd: Path) -> None:
    rate_0 = ["--optimizer.lr", "1e-9", "--optimizer.adamw_lr", "1e-9"]
    assert fit(cwd, [*TUNE, *rate_0, "--trainer.max_steps", "1"]) == 0
    counts = "10 of 18 characters known, 8 new, of which 8 start as a related one"
    assert f"initialized from pretrained/best.ckpt: {counts}; positions 6 -> 10" in (cwd / "log").read_text()
    last = read_checkpoint(the_run(cwd) / "last.ckpt")
    assert last["global_step"] == 1
    assert last["hyper_parameters"]["context_length"] == 10
    best = read_checkpoint(cwd / "pretrained" / "best.ckpt")["state_dict"]
    name = "blocks.0.attention.proj.weight"
    torch.testing.assert_close(last["state_dict"][name], best[name], atol=1e-7, rtol=0)
    assert recorded(the_run(cwd)) == str(cwd / "pretrained")


def test_hidden_matrices_alone_learn_at_a_tenth_of_the_rate(fit: ForkServer, cwd: Path) -> None:
    rates = ["--optimizer.lr", "0.5", "--optimizer.adamw_lr", "0.25", "--lr_scheduler", "null"]
    assert fit(cwd, [*TUNE, *rates, "--trainer.max_steps", "1"]) == 0, (cwd / "log").read_text()
    groups = read_checkpoint(the_run(cwd) / "last.ckpt")["optimizer_states"][0]["param_groups"]
    assert [(group["hidden"], group["lr"]) for group in groups] == [(True, 0.05), (False, 0.25), (False, 0.25)]


def test_a_resumed_run_is_bit_identical_and_does_not_initialize_again(
    fit: ForkServer, cwd: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = tmp_path_factory.mktemp("whole") / "cwd"
    shutil.copytree(cwd, whole)
    assert fit(whole, TUNE) == 0, (whole / "log").read_text()
    assert fit(cwd, TUNE, {"call": "on_train_batch_start", "count": 12}) == -9
    shutil.rmtree(cwd / "pretrained")
    run = the_run(cwd)
    as_logged = ["fit", "--config", str(run / "config.yaml"), "--ckpt_path", str(run / "last.ckpt")]
    assert fit(cwd, as_logged, {"call": "on_train_batch_start", "count": 12}) == -9
    without = [*arguments(EVERY), "--data.path", "other.txt", "--ckpt_path", "last"]
    assert fit(cwd, without) == 0, (cwd / "log").read_text()
    same_runs(run, the_run(whole))
    assert (cwd / "log").read_text().count("initialized from") == 1
    assert "init_from changed" not in (cwd / "log").read_text()
    assert recorded(run) == str(cwd / "pretrained")


def test_a_run_killed_before_its_first_checkpoint_is_initialized_when_it_is_started_again(
    fit: ForkServer, cwd: Path
) -> None:
    assert fit(cwd, TUNE, {"call": "save", "count": 1}) == -9
    assert [path.name for path in the_run(cwd).glob("*.ckpt")] == []
    without = [*arguments(EVERY), "--data.path", "other.txt", "--ckpt_path", "last"]
    assert fit(cwd, without) == 0, (cwd / "log").read_text()
    assert (cwd / "log").read_text().count("initialized from") == 2
    assert recorded(the_run(cwd)) == str(cwd / "pretrained")
