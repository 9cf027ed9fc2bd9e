"""The options that a resumed run may change, and those that it may not; changes are logged."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import Namespace

from sequentia.errors import UserError
from sequentia.models import CNN, GRU, LSTM, BigramCounts, LanguageModel, Transformer
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.training.loop.resume import check_fits, check_unfinished
from sequentia.training.source import changes
from tests.conftest import CommandResult


def checkpoint(model: LanguageModel) -> dict[str, Any]:
    """The parts of Lightning's checkpoint that describe the model."""
    made: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    model.on_save_checkpoint(made)
    return made


def test_only_changed_options_are_logged_with_their_dotted_names() -> None:
    old = {"seed": 0, "model": {"class_path": "GRU", "init_args": {"dropout": 0.1}}, "gone": 1}
    new = {"seed": 0, "model": {"class_path": "GRU", "init_args": {"dropout": 0.2, "n_layer": 2}}}
    assert list(changes(old, new)) == ["model.init_args.dropout changed: 0.1 -> 0.2"]


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (GRU("ab", 5, dropout=0.3), GRU("ab", 5)),
        (GRU("ab", 9), GRU("ab", 5)),  # data with a longer line: no weight depends on a position
        (CNN("ab", 8), CNN("ab", 5)),
        (BigramCounts("ab", 5, smoothing=0.5), BigramCounts("ab", 5)),
    ],
)
def test_changes_that_keep_the_meaning_of_the_weights_are_accepted(now: LanguageModel, before: LanguageModel) -> None:
    check_fits(now, checkpoint(before))


@pytest.mark.parametrize(
    ("now", "before", "named"),
    [
        (Transformer("ab", 5, n_head=2), Transformer("ab", 5), r"n_head 4 \(not 2\)"),
        (Transformer("ab", 5, tied=False), Transformer("ab", 5), r"tied True \(not False\)"),
        (Transformer("ab", 9), Transformer("ab", 5), r"context_length 5 \(not 9\)"),
        (GRU("ab", 5, n_hidden=8), GRU("ab", 5, n_hidden=16), r"n_hidden 16 \(not 8\): give its values as --model opt"),
        (LSTM("ab", 5), GRU("ab", 5), "is of class GRU, but the options ask for LSTM: give --model GRU"),
        (GRU("abc", 5), GRU("ab", 5), r"is not that of the data \(only the data has 'c'\): give --init_from"),
    ],
)
def test_another_architecture_size_or_vocabulary_is_refused(
    now: LanguageModel, before: LanguageModel, named: str
) -> None:
    with pytest.raises(UserError, match=named):
        check_fits(now, checkpoint(before))


@pytest.mark.parametrize(
    ("single_epoch", "epochs", "remedy"),
    [
        (False, 1, "extend it with --trainer.max_steps 26"),
        (True, 0, "extend it with --trainer.max_steps 26"),
        (True, 1, "it has counted all training lines"),
    ],
)
def test_a_complete_run_can_be_extended_unless_a_second_epoch_changes_nothing(
    single_epoch: bool, epochs: int, remedy: str
) -> None:
    progress = {"fit_loop": {"epoch_progress": {"current": {"processed": epochs}}}}
    options, stored = Namespace(max_steps=13, max_epochs=None), {"global_step": 13, "loops": progress}
    with pytest.raises(UserError, match=remedy):
        check_unfinished(options, stored, "last.ckpt", single_epoch)
    check_unfinished(Namespace(max_steps=14, max_epochs=None), stored, "last.ckpt", single_epoch)


STATE: dict[str, Callable[[dict[str, Any]], object]] = {
    "weights only": lambda content: [content.pop(key) for key in ("loops", "callbacks", "optimizer_states")],
    "no optimizer": lambda content: content.pop("optimizer_states"),
    "a counter as text": lambda content: content["loops"]["fit_loop"]["epoch_progress"]["current"].update(ready="x"),
    "moments of another shape": lambda content: content["optimizer_states"][0]["state"][0].update(
        exp_avg=torch.ones(3)
    ),
}


@pytest.mark.parametrize("kind", STATE)
def test_a_damaged_training_state_is_refused_in_one_line(
    trained: Path, tmp_path: Path, command: Callable[..., CommandResult], kind: str
) -> None:
    """The bigram's optimizer is fused: its kernel would write out of bounds."""
    path = shutil.copytree(trained, tmp_path / "run") / "last.ckpt"
    content = read_checkpoint(path)
    STATE[kind](content)
    torch.save(content, path)
    result = command("fit", "--ckpt_path", path, "--trainer.max_steps", 40)
    assert result.code == 2
    assert "Traceback" not in result.err
    (line,) = [line for line in result.err.splitlines() if line.startswith("sequentia: ")]
    assert str(path) in line
