"""How a model names itself in a checkpoint, and what a checkpoint can hold of its options."""

from typing import Any

from sequentia.errors import UserError

KEY = "sequentia"
"""Key of what this package adds to Lightning's checkpoint."""

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
        if not is_plain(value):
            raise UserError(
                f"the option {name} of {architecture.__name__} is a {type(value).__name__}: give numbers, strings, "
                "None, or lists of these, which a checkpoint can hold"
            )
    checkpoint[KEY] = {"format": FORMAT, "architecture": architecture_name(architecture)}


def is_plain(value: object) -> bool:
    """Whether a hyperparameter is a number, a string, None, or a list of these or of mappings to these."""
    if isinstance(value, list | tuple):
        rows = (item.values() if isinstance(item, dict) else [item] for item in value)
        return all(_is_scalar(item) for row in rows for item in row)
    return _is_scalar(value)


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | None)
