"""What may be different when a run goes on, what may not, and how it is told."""

from typing import Any

import pytest

from sequentia.errors import UserError
from sequentia.models import GRU, LSTM, LanguageModel
from sequentia.training.changes import changes, check_fits


def checkpoint(model: LanguageModel) -> dict[str, Any]:
    """The parts of Lightning's checkpoint that tell the model."""
    made: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    model.on_save_checkpoint(made)
    return made


def test_only_what_changed_is_told_by_its_dotted_name() -> None:
    old = {"seed": 0, "model": {"class_path": "GRU", "init_args": {"dropout": 0.1}}, "gone": 1}
    new = {"seed": 0, "model": {"class_path": "GRU", "init_args": {"dropout": 0.2}}, "trainer": {"max_steps": 5}}
    assert list(changes(old, new)) == [
        "model.init_args.dropout is 0.2, so far it was 0.1",
        "trainer.max_steps is 5, so far it was None",
    ]


def test_a_long_value_is_told_in_short() -> None:
    (change,) = changes({"a": list(range(1000))}, {"a": 1})
    assert change == "a is 1, so far it was [0, 1, 2, 3, 4, 5, ...]"


def test_another_dropout_fits() -> None:
    check_fits(GRU("ab", 5, dropout=0.3), checkpoint(GRU("ab", 5)))


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (LSTM("ab", 5), "the checkpoint is a GRU, the options ask for LSTM"),
        (GRU("ab", 5, n_hidden=8), r"n_hidden 16 \(not 8\): give the run's own config.yaml"),
        (GRU("abc", 5, n_hidden=16), "the model's vocabulary is 'abc', not 'ab'"),
    ],
)
def test_another_architecture_size_or_vocabulary_is_refused(model: LanguageModel, named: str) -> None:
    with pytest.raises(UserError, match=named):
        check_fits(model, checkpoint(GRU("ab", 5, n_hidden=16)))
