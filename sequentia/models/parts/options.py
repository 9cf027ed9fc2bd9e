"""Checks of options that several architectures have."""

from sequentia.errors import UserError


def check_sizes(**sizes: int) -> None:
    """Check that every size is at least 1.

    Raises:
        UserError: A size is below 1; the message names it.
    """
    for name, size in sizes.items():
        if size < 1:
            raise UserError(f"{name} must be at least 1, got {size}")


def check_dropout(dropout: float) -> None:
    """Check that a dropout probability is in [0, 1).

    Raises:
        UserError: The probability is out of range.
    """
    if not 0 <= dropout < 1:
        raise UserError(f"dropout must be in [0, 1), got {dropout}")
