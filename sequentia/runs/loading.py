"""Checkpoint -> model. Nothing that the checkpoint names is imported or called, unless the user trusts that module."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES, LanguageModel
from sequentia.models.parts.options import check_options
from sequentia.models.parts.saving import KEY
from sequentia.runs.checkpoint import read_checkpoint, refused
from sequentia.runs.directory import find_checkpoint
from sequentia.runs.trust import import_trusted, is_class_path, is_trusted, remedy, trusted_modules
from sequentia.text import brief
from sequentia.vocabulary import BOUNDARY

_LONGEST_NAME = 200  # characters of an import path


def architecture_of(checkpoint: dict[str, Any], path: Path, trust: Sequence[str] = ()) -> type[LanguageModel]:
    """The architecture that a checkpoint from `read_checkpoint` names.

    Args:
        checkpoint: The content of the checkpoint.
        path: Its file.
        trust: Modules that may be imported.

    Raises:
        UserError: It is not one of this package's, and not a `LanguageModel` of a trusted module.
    """
    name = checkpoint[KEY]["architecture"]
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if len(name) > _LONGEST_NAME or not is_class_path(name) or is_trusted(name, ["sequentia"]):
        raise refused(path, f"its architecture {brief(name)} is not one of sequentia's")
    if not is_trusted(name, trust):
        raise UserError(f"refused {path}: its architecture {name} is not one of sequentia's{remedy(name)}")
    architecture = import_trusted(name, trust)
    if not (isinstance(architecture, type) and issubclass(architecture, LanguageModel)):
        raise refused(path, f"{name} is not a LanguageModel")
    return architecture


def build_model(checkpoint: dict[str, Any], path: Path, trust: Sequence[str] = ()) -> LanguageModel:
    """The model that a checkpoint from `read_checkpoint` describes, with its weights, in evaluation mode.

    The model is first built without memory and compared with the weights, so that forged sizes cost nothing.

    Raises:
        UserError: The architecture is unknown, the hyperparameters are not its own, the weights do not match them, or
            they give no probabilities.
    """
    architecture = architecture_of(checkpoint, path, trust)
    options, weights = checkpoint["hyper_parameters"], checkpoint["state_dict"]
    mismatch = "its weights do not match its hyperparameters"
    limit = 2 * len(weights) + 100  # parameters that a module may register before some are tied

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal limit
        limit -= 1
        if limit < 0:
            raise UserError(mismatch)

    try:
        check_options(architecture, options)
        counting = nn.modules.module.register_module_parameter_registration_hook(count)
        try:
            with torch.device("meta"):
                accepted = architecture(**options).accepts(weights)
        finally:
            counting.remove()
        if not accepted:
            raise UserError(mismatch)
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn, then replaced
            model = architecture(**options)
        model.load_state_dict(weights)
    except UserError as error:
        raise refused(path, str(error)) from error
    except Exception as error:
        reason = "" if architecture in ARCHITECTURES.values() else f" ({type(error).__name__}: {error})"
        raise refused(path, f"its hyperparameters are not those of a {architecture.__name__}{reason}") from error
    for key, weight in model.state_dict().items():  # after conversion to the model's precision
        invalid = weight.isnan() | weight.isposinf() if model.allows_zero_probability else ~weight.isfinite()
        if invalid.any():  # in a table of bigrams, a logit of -inf is a probability of zero
            raise refused(path, f"its weights {key} are infinite or NaN")
    model.eval()
    with torch.inference_mode():
        logits, _ = model.step(torch.tensor([BOUNDARY]))
    if logits.float().log_softmax(1).isnan().any():  # finite weights can have products that are not
        raise refused(path, "its weights give probabilities that are NaN")
    return model


def load(path: str | Path | None = None, *, trust: str | Sequence[str] = ()) -> LanguageModel:
    """The model of a checkpoint, on the CPU, in evaluation mode.

    Args:
        path: A checkpoint file, a run directory (its best checkpoint), a directory of runs (its newest run), or None
            for the newest run below `checkpoints`.
        trust: Modules whose code may be run, because the checkpoint's architecture is in one of them. A checkpoint of
            any other module is refused, and nothing is imported.

    Raises:
        UserError: There is no such checkpoint; or the file is not a checkpoint of this package, or is damaged: see
            `read_checkpoint` and `build_model`.
    """
    checkpoint = find_checkpoint(None if path is None else str(Path(path).expanduser()))
    content = read_checkpoint(checkpoint)
    model = build_model(content, checkpoint, trusted_modules(trust))
    model.run, model.data_state = checkpoint.parent, content.get("CharDataModule")
    return model
