"""Keyword arguments of `sequentia.fit` name the options of the command, or the closest ones are named."""

from typing import Any

import pytest

from sequentia.errors import UserError
from sequentia.keywords import command_options
from sequentia.models import GRU


@pytest.mark.parametrize(
    ("keyword", "value", "option", "text"),
    [
        ("max_steps", 300, "trainer.max_steps", "300"),
        ("trainer__max_steps", 300, "trainer.max_steps", "300"),
        ("max_time", "00:10:00", "trainer.max_time", "00:10:00"),
        ("model", "GRU", "model", "GRU"),
        ("model", GRU, "model", "sequentia.models.gru.GRU"),
        ("model__n_layer", 2, "model.n_layer", "2"),
        ("optimizer__lr", 0.01, "optimizer.lr", "0.01"),
        ("lr_scheduler", None, "lr_scheduler", "null"),
        ("extra_metrics", False, "extra_metrics", "false"),
        ("data__path", ["a.txt", "b.txt"], "data.path", '["a.txt", "b.txt"]'),
        ("checkpoint__every_n_train_steps", 5, "checkpoint.every_n_train_steps", "5"),
    ],
)
def test_a_keyword_is_an_option_of_the_command(keyword: str, value: Any, option: str, text: str) -> None:
    assert command_options({keyword: value}) == {option: text}


@pytest.mark.parametrize(
    ("keyword", "suggestion"),
    [
        ("n_layer", "model__n_layer"),
        ("batch_size", "data__batch_size"),
        ("lr", "optimizer__lr"),
        ("max_stepz", "max_steps or max_time"),
        ("data__batch_sise", "data__batch_size"),
        ("trainer__acelerator", "accelerator"),
    ],
)
def test_an_unknown_keyword_is_refused_with_the_closest_option(keyword: str, suggestion: str) -> None:
    with pytest.raises(UserError, match=rf"^fit has no option {keyword}: did you mean {suggestion}\?$"):
        command_options({keyword: 1})


def test_a_keyword_like_no_option_is_refused_with_the_help() -> None:
    with pytest.raises(UserError, match=r"^fit has no option qqq; see `sequentia fit --help_all`$"):
        command_options({"qqq": 1})


def test_an_object_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"^callbacks must be a number.*got a list; .* plain Lightning"):
        command_options({"callbacks": [object()]})


def test_a_class_that_no_other_process_can_import_is_refused() -> None:
    class Inner(GRU): ...

    with pytest.raises(UserError, match=r"model must be a class at the top level of a module, got .*Inner: move it"):
        command_options({"model": Inner})


def test_an_option_is_given_once() -> None:
    with pytest.raises(UserError, match=r"trainer.max_steps is given twice"):
        command_options({"max_steps": 3, "trainer__max_steps": 4})
