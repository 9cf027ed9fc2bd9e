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


def check_amount(name: str, amount: object, below: float = math.inf) -> None:
    """Check that a number is at least 0 and below a limit.

    Raises:
        UserError: The number is out of range; the message has its name.
    """
    if not isinstance(amount, Real) or not 0 <= float(amount) < below:
        limit = "finite" if below == math.inf else f"below {below:g}"
        raise UserError(f"{name} must be {limit} and at least 0, got {brief(amount)}")
