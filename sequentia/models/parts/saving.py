"""How a model names itself in a checkpoint."""

from typing import Any

from sequentia.errors import UserError

KEY = "sequentia"
"""Key of this package's entry in Lightning's checkpoint."""

FORMAT = 1
"""Number of the checkpoint's layout; any other is refused."""


def architecture_name(architecture: type) -> str:
    """How checkpoints name an architecture: this package's by the name of the class, others by its import path."""
    if architecture.__module__.startswith("sequentia.models."):
        return architecture.__name__
    return f"{architecture.__module__}.{architecture.__qualname__}"


def mark(checkpoint: dict[str, Any], architecture: type) -> None:
    """Record the layout and the name of the architecture in a checkpoint that is about to be written.

    Raises:
        UserError: The architecture does not save its hyperparameters, or one is not a plain value.
    """
    options = checkpoint.get("hyper_parameters", {})
    if "vocabulary" not in options:
        raise UserError(
            f"{architecture.__name__} does not save its hyperparameters: call self.save_hyperparameters(logger=False) "
            "in its __init__"
        )
    for name, value in options.items():
        if not _is_plain(value):
            raise UserError(
                f"the option {name} of {architecture.__name__} is a {type(value).__name__}: give numbers, strings, "
                "None, or lists or mappings of these, which a checkpoint can hold"
            )
    checkpoint[KEY] = {"format": FORMAT, "architecture": architecture_name(architecture)}


def _is_plain(value: object) -> bool:
    """Whether PyTorch's safe reader accepts a hyperparameter."""
    if isinstance(value, list | tuple | dict):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str | int | float | None)
