"""The members of a mixture for which none are given: they follow from the data and the time."""

from datetime import timedelta
from typing import Any

DEFAULT_TIME = "00:01:00"
"""Of a run with neither a time nor a length, as `trainer.max_time` takes it."""

_SPEED = 45_000  # characters that a Transformer of the default size learns from in a second, on two cores
_CNN = 0.4  # time of the CNN, as a multiple of the Transformer's
_WINDOW = 16  # characters that the CNN sees: in longer lines it only takes time from the Transformer
_START = timedelta(seconds=8)  # start-up and end of the command
_EPOCHS = 20.0  # after which one more network lowers the NLL more than more epochs
_MOST = 8  # Transformers
_SHORT = timedelta(seconds=25)  # in less time a CNN alone comes further
_FEW_EPOCHS = 10.0  # with so few, nothing overfits, and dropout only slows learning
_DROPOUT = {"Transformer": 0.05, "CNN": 0.1}  # after more epochs
_WIDE, _WIDE_TIME = 128, 2.7  # twice the width, and its time as a multiple of the default's
_ENOUGH = 16_000_000  # characters that a Transformer of the default width learns from: then the wide one comes further


def members_for(time: timedelta, characters: int, lines: int) -> list[dict[str, Any]]:
    """Transformers, the n-gram model and, unless the lines are long, a CNN.

    There are as many Transformers as can be trained for 20 epochs each in the time, at most eight; and at least one,
    unless the lines are short and the time is below 25 seconds. If the time is long, but not long enough for 20 epochs
    of a wide Transformer, there is one, wide. The others have dropout if they are trained for ten epochs or more.

    Args:
        time: Time of the whole run.
        characters: Predicted characters of the training lines.
        lines: Number of the training lines.
    """
    cnn = int(characters <= _WINDOW * lines)
    epochs = (time - _START).total_seconds() * _SPEED / characters
    wide = epochs * characters > _ENOUGH and epochs / _WIDE_TIME < _EPOCHS
    fewest = 0 if cnn and time < _SHORT else 1
    copies = 1 if wide else min(_MOST, max(fewest, int(epochs / _EPOCHS - cnn * _CNN)))
    repeated = not wide and epochs / (copies + cnn * _CNN) >= _FEW_EPOCHS
    networks = [
        {"architecture": architecture, "copies": number, "dropout": _DROPOUT[architecture] if repeated else 0.0}
        for architecture, number in (("Transformer", copies), ("CNN", cnn))
        if number > 0
    ]
    if wide:
        networks[0]["n_embd"] = _WIDE
    return [*networks, {"architecture": "NGram"}]


def described(members: list[dict[str, Any]]) -> str:
    """The members and their options, for people.

    Example:
        >>> described([{"architecture": "CNN", "copies": 2, "dropout": 0.0}, {"architecture": "NGram"}])
        '2 CNN (dropout 0.0), NGram'
    """
    parts = []
    for member in members:
        options = dict(member)
        name, copies = options.pop("architecture"), options.pop("copies", 1)
        shown = ", ".join(f"{option} {value}" for option, value in options.items())
        parts.append(f"{copies} " * (copies > 1) + name + f" ({shown})" * bool(shown))
    return ", ".join(parts)
