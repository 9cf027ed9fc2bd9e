"""The members of a mixture for which none are given: they follow from the data and the time."""

from datetime import timedelta
from typing import Any

DEFAULT_TIME = timedelta(minutes=1)
"""Of a run with neither a time nor a length."""

_SPEED = 45_000  # characters that a Transformer of the default size learns from in a second, on two cores
_CNN = 0.4  # time of the CNN, as a multiple of the Transformer's
_EPOCHS = 14.0  # after which one more network lowers the NLL more than one more epoch
_MOST = 8  # Transformers
_FEW_EPOCHS, _DROPOUT = 8.0, 0.05  # with so few epochs nothing overfits, and dropout only slows learning


def members_for(time: timedelta, characters: int) -> list[dict[str, Any]]:
    """Transformers, a CNN and the n-gram model.

    There are as many Transformers as can be trained for 14 epochs each in the time, at least one and at most eight;
    they have dropout if they are trained for eight epochs or more.

    Args:
        time: Time of the whole run.
        characters: Predicted characters of the training lines.
    """
    epochs = time.total_seconds() * _SPEED / characters
    copies = min(_MOST, max(1, int(epochs / _EPOCHS - _CNN)))
    dropout = _DROPOUT if epochs / (copies + _CNN) >= _FEW_EPOCHS else 0.0
    transformer = {"architecture": "Transformer", "copies": copies, "dropout": dropout}
    return [transformer, {"architecture": "CNN", "dropout": dropout}, {"architecture": "NGram"}]
