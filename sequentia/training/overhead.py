"""What Lightning does around each step, made cheap: of a small model's step it is a large part."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from lightning.pytorch import Callback
from lightning.pytorch.profilers import PassThroughProfiler

_EACH_STEP = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


class NoProfiler(PassThroughProfiler):
    """A profiler that does nothing, as Lightning's own default, without a generator for each of 60 hooks a step."""

    def profile(self, action_name: str) -> AbstractContextManager:
        """A context that does nothing."""
        return _NOTHING


_NOTHING = nullcontext()


def skip_empty_hooks(callbacks: Iterable[Callback]) -> None:
    """Spare Lightning the calls of the hooks of each step that a callback leaves as they are: it skips what is None."""
    for callback in callbacks:
        for hook in _EACH_STEP:
            if getattr(type(callback), hook) is getattr(Callback, hook) and hook not in vars(callback):
                setattr(callback, hook, None)
