"""`fit --init_from`: a new run starts from the weights of another model, which may have been trained on other data.

The hidden matrices are trained at a lower learning rate than the rest.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from torch.optim import Optimizer

from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.models.parts.saving import architecture_name
from sequentia.models.parts.shipped import factory
from sequentia.models.parts.transfer import copy_weights, relatives
from sequentia.training.loop.resume import check_same_model

HIDDEN_LR_FACTOR = 0.1
"""At the full rate, hidden matrices lose their knowledge within the first steps. Embeddings and head have new
entries to learn and keep the full rate. See `python -m benchmarks finetuning`."""

MakeOptimizer = Callable[[Iterable[Any]], Optimizer]
"""Makes an optimizer from parameter groups."""


def slower_hidden(make_optimizer: MakeOptimizer) -> MakeOptimizer:
    """An optimizer with which the hidden matrices learn at `HIDDEN_LR_FACTOR` times their rate."""

    def make(groups: Iterable[Any]) -> Optimizer:
        optimizer = make_optimizer(groups)
        for group in optimizer.param_groups:
            group["lr"] *= HIDDEN_LR_FACTOR if group["hidden"] else 1.0
        return optimizer

    return make


def set_optimizer(model: LanguageModel, options: Namespace) -> None:
    """Give a model the optimizer and the schedule that the options of `fit` name, its own optimizer if they name none.

    If the run was started by `--init_from`, also when it is resumed, its hidden matrices learn more slowly.
    """
    if options.optimizer:
        model.optimizer = factory(options.optimizer)
    if options.init_from is not None:
        model.optimizer = slower_hidden(model.optimizer)
    model.lr_scheduler = factory(options.lr_scheduler) if options.lr_scheduler else None
    model.lr_scheduler_interval = options.lr_scheduler_interval


def initialize(model: LanguageModel, trained: LanguageModel, path: Path) -> str:
    """Copy the weights of `trained`, loaded from `path`, into `model`; returns one line on the result.

    Raises:
        UserError: The weights do not fit the model, or would change their meaning.
    """
    theirs = architecture_name(type(trained))
    if not any(weight.requires_grad for weight in trained.parameters()):
        raise UserError(f"{path} is of class {theirs}, which has no weights to start from: omit --init_from")
    free = {"vocabulary", "context_length", *model.may_change}
    check_same_model(model, theirs, trained.hparams, free, str(path))
    copy_weights(model, trained)
    characters = set(model.vocabulary.characters)
    known = len(characters.intersection(trained.vocabulary.characters))
    text = f"initialized from {path}: {known} of {len(characters)} characters known"
    if known < len(characters):
        related = len(relatives(model.vocabulary, trained.vocabulary))
        text += f", {len(characters) - known} new, of which {related} start as a related one"
    if labels := model.vocabulary.labels:
        text += f"; {len(set(labels).intersection(trained.vocabulary.labels))} of {len(labels)} labels known"
    if model.position_dims() and model.context_length != trained.context_length:
        text += f"; positions {trained.context_length} -> {model.context_length}"
    if model.hidden_matrices():
        text += f"; hidden matrices learn at {HIDDEN_LR_FACTOR:g} times the learning rate"
    return text
