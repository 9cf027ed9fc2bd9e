"""What is different when a run goes on: the model must be the same, options may change."""

import reprlib
from collections.abc import Iterator
from typing import Any

from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.models.base import KEY, MAY_CHANGE


def check_fits(model: LanguageModel, checkpoint: dict[str, Any]) -> None:
    """Refuse to go on with weights of another architecture, size or vocabulary.

    Raises:
        UserError: It names what differs.
    """
    model.on_load_checkpoint(checkpoint)
    theirs, ours = checkpoint["hyper_parameters"], model.hparams
    if checkpoint[KEY]["architecture"] != type(model).__name__:
        raise UserError(
            f"the checkpoint is a {checkpoint[KEY]['architecture']}, the options ask for {type(model).__name__}"
        )
    differ = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    shapes = {name: weight.shape for name, weight in model.state_dict().items()}
    same = shapes == {name: weight.shape for name, weight in checkpoint["state_dict"].items()}
    if not same or set(differ) - MAY_CHANGE:
        other = ", ".join(f"{name} {reprlib.repr(theirs[name])} (not {ours[name]})" for name in differ)
        raise UserError(f"the checkpoint's model has {other}: give the run's own config.yaml, or start a new run")


def changes(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Each option of a run's configuration that is no longer what it was, in words, by its dotted name."""
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            yield from changes(before, value, f"{prefix}{name}.")
        elif value != before:
            yield f"{prefix}{name} is {value}, so far it was {reprlib.repr(before)}"
