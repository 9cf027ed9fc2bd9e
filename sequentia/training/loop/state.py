"""The training state in a checkpoint, checked before Lightning restores it, which it does without looking."""

from pathlib import Path
from typing import Any

from torch import Tensor

from sequentia.runs.checkpoint import refused
from sequentia.training.loop.checkpointing import BestCheckpoint

_COUNT_LIMIT = 2**53  # as for the step count
_NAME_LIMIT = 255  # bytes of a file's name: the system raises an error if asked for a longer one


def check_training_state(checkpoint: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint whose counters or best scores are of another type, with which training would fail later.

    What is missing is not reported here: a checkpoint may have been saved without a training state.

    Args:
        checkpoint: From `read_checkpoint`.
        path: Its file.

    Raises:
        UserError: The message names what is invalid.
    """
    if not _are_counters(checkpoint.get("loops", {})):
        raise refused(path, "a counter of its training state is not a number")
    callbacks = checkpoint.get("callbacks", {})
    if not isinstance(callbacks, dict):
        raise refused(path, "the state of its callbacks is damaged")
    best = callbacks.get(BestCheckpoint.__name__)
    if best is not None and not _are_best_scores(best):
        raise refused(path, "its record of the best checkpoints is damaged")


def _are_counters(value: object) -> bool:
    """Whether a tree has only counters at its leaves."""
    if isinstance(value, dict | list):
        return all(map(_are_counters, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and 0 <= value < _COUNT_LIMIT  # True and False included


def _are_best_scores(state: object) -> bool:
    """Whether the state of a `BestCheckpoint` is consistent."""
    if not isinstance(state, dict):
        return False
    best = state.get("best_k_models")
    if not isinstance(best, dict):
        return False
    paths = [*best, *(state.get(name) for name in ("best_model_path", "kth_best_model_path", "last_model_path"))]
    if not all(
        isinstance(path, str) and len(Path(path).name.encode(errors="replace")) <= _NAME_LIMIT for path in paths
    ):
        return False
    scores = [state.get(name) for name in ("best_model_score", "current_score", "kth_value")]
    return all(_is_score(score) for score in best.values()) and all(s is None or _is_score(s) for s in scores)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and len(Path(value).name.encode(errors="replace")) <= _NAME_LIMIT


def _is_score(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim == 0 and not value.isnan()
