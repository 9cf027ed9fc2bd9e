"""Checks of options that several architectures have."""

import math
from numbers import Integral, Real

from sequentia.errors import UserError
from sequentia.text import brief


def check_sizes(**sizes: object) -> None:
    """Check that every size is a whole number of at least 1.

    Raises:
        UserError: A size is not; the message names it.
    """
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise UserError(f"{name} must be at least 1, got {brief(size)}")


def check_amount(name: str, amount: object) -> None:
    """Check that a number is finite and not negative.

    Raises:
        UserError: It is not; the message has its name.
    """
    if not isinstance(amount, Real) or not 0 <= float(amount) < math.inf:
        raise UserError(f"{name} must be finite and at least 0, got {brief(amount)}")


def check_dropout(dropout: object) -> None:
    """Check that a dropout probability is in [0, 1).

    Raises:
        UserError: The probability is out of range.
    """
    if not isinstance(dropout, Real) or not 0 <= float(dropout) < 1:
        raise UserError(f"dropout must be in [0, 1), got {brief(dropout)}")
