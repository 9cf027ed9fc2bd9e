"""`fit --init_from`: a new run starts from the weights of another model, which may have been trained on other data.

Tokens are matched by character and label, positions by number. Whatever the other model lacks keeps its fresh
initialization; a new label starts as the boundary, which starts the lines of a model without labels.
The hidden matrices are trained at a lower learning rate than the rest.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from torch import Tensor
from torch.optim import Optimizer

from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.models.counting import Counting
from sequentia.models.parts.saving import architecture_name
from sequentia.models.parts.shipped import factory
from sequentia.training.loop.resume import check_same_model
from sequentia.vocabulary import BOUNDARY, Vocabulary, code_points

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
        text += f", {len(characters) - known} new"
    if labels := model.vocabulary.labels:
        text += f"; {len(set(labels).intersection(trained.vocabulary.labels))} of {len(labels)} labels known"
    if model.position_dims() and model.context_length != trained.context_length:
        text += f"; positions {trained.context_length} -> {model.context_length}"
    if model.hidden_matrices():
        text += f"; hidden matrices learn at {HIDDEN_LR_FACTOR:g} times the learning rate"
    return text


def shared_tokens(first: Vocabulary, second: Vocabulary) -> tuple[Tensor, Tensor]:
    """Ids of the tokens that both vocabularies have, and of the labels of the first, in the first and in the second.

    Returns:
        Two tensors `(N,)` long, which start with the boundary token. It also stands for the labels that only the first
        vocabulary has.

    Example:
        >>> shared_tokens(Vocabulary("abd"), Vocabulary("bcd"))
        (tensor([0, 2, 3]), tensor([0, 1, 3]))
        >>> shared_tokens(Vocabulary("ab", {"F": 1, "M": 1}), Vocabulary("ab", {"M": 1}))
        (tensor([0, 1, 2, 3, 4]), tensor([0, 1, 2, 0, 3]))
    """
    found = torch.from_numpy(second.lookup(code_points(first.characters)))  # -1: unknown
    ids = torch.arange(1, len(first))
    boundary = torch.tensor([BOUNDARY])
    labels = torch.arange(len(first), first.num_tokens)
    same = torch.tensor([second.start(label) if label in second.labels else BOUNDARY for label in first.labels]).long()
    return torch.cat((boundary, ids[found > 0], labels)), torch.cat((boundary, found[found > 0], same))


@torch.no_grad()
def copy_weights(model: LanguageModel, trained: LanguageModel) -> None:
    """Copy the weights of a model with the same options but possibly another vocabulary and context length.

    Entries of tokens and positions that only `model` has are left as they are; those that only `trained` has are
    dropped. Counts are not copied: `model` counts its own lines.
    """
    tokens = shared_tokens(model.vocabulary, trained.vocabulary)
    token_dims, position_dims = model.vocabulary_dims(), model.position_dims()
    adapted: dict[str, Tensor] = {}
    counted = {
        f"{prefix}.{name}"
        for prefix, module in model.named_modules()
        if isinstance(module, Counting)
        for name in module.state_dict()
    }
    after = model.state_dict(keep_vars=True)  # the parameters themselves, which are the keys of the declarations
    for name, before in trained.state_dict().items():
        weight = after[name]
        if name in counted:
            adapted[name] = weight
            continue
        to, source = ([torch.arange(size) for size in before.shape] for _ in range(2))
        for dim in token_dims.get(weight, ()):
            has_row = tokens[0] < weight.shape[dim]  # labels are read, not predicted
            to[dim], source[dim] = tokens[0][has_row], tokens[1][has_row]
        for dim in position_dims.get(weight, ()):
            to[dim] = source[dim] = torch.arange(min(weight.shape[dim], before.shape[dim]))
        if weight in token_dims or weight in position_dims:
            adapted[name] = weight.clone()
            adapted[name][torch.meshgrid(*to, indexing="ij")] = before[torch.meshgrid(*source, indexing="ij")]
        else:
            adapted[name] = before
    model.load_state_dict(adapted)  # strict: raises if a shape depends on the data and was not declared
