"""Checks of an architecture's options, which come from a command line, a config or an untrusted checkpoint."""

import inspect
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sequentia.errors import UserError
from sequentia.text import brief

_LARGEST_SIZES = {
    "n_layer": 300,
    "copies": 300,
    "members": 300,
    "order": 100,
    "context_length": 2**31,
}
_LARGEST_SIZE = 2**20  # of any other: beyond it, PyTorch's sizes of matrices overflow


def check_sizes(**sizes: int) -> None:
    """Check that every size is at least 1, and that building the model ends.

    Raises:
        UserError: A size is out of range; the message names the option.
    """
    for name, size in sizes.items():
        largest = _LARGEST_SIZES.get(name, _LARGEST_SIZE)
        if size < 1:
            raise UserError(f"model.{name} must be at least 1, got {size}")
        if size > largest:
            raise UserError(f"model.{name} must be at most {largest}, got {size}")


def check_dropout(dropout: float) -> None:
    """Check that a dropout probability is in [0, 1).

    Raises:
        UserError: The probability is out of range.
    """
    if not 0 <= dropout < 1:
        raise UserError(f"model.dropout must be in [0, 1), got {dropout}")


def check_options(architecture: type, options: Mapping[str, object]) -> None:
    """Check that an architecture has these options, and the types of their values.

    Raises:
        UserError: An option is unknown, or its type is not exactly the declared one; an int may stand for a float.
    """
    parameters = inspect.signature(architecture).parameters
    hints = get_type_hints(architecture.__init__)  # type: ignore[misc]
    unknown = sorted(set(options) - set(parameters))
    if unknown:
        raise UserError(f"{architecture.__name__} has no option {brief(unknown[0])}")
    for name, value in options.items():
        if not _has_type(value, hints.get(name, Any)):
            raise UserError(f"the option {name} of {architecture.__name__} has the wrong type: {brief(value)}")


def _has_type(value: object, annotation: Any) -> bool:
    if annotation is Any:
        return True  # any plain value, which `read_checkpoint` has checked
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return any(_has_type(value, kind) for kind in get_args(annotation))
    if origin is Literal:
        return value in get_args(annotation)
    plain = origin or annotation  # the items of a list are the architecture's to check
    return type(value) is plain or (type(value) is int and plain is float)
