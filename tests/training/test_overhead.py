"""Cutting what Lightning does around a step leaves out nothing that does something."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sequentia.models import Bigram
from sequentia.training.overhead import NoProfiler, skip_empty_hooks


class Watch(Callback):
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """A hook of its own."""


class Later(Watch):
    """Inherits the hook."""


def test_only_hooks_that_do_nothing_are_skipped() -> None:
    callback = Later()
    callback.on_after_backward = print
    skip_empty_hooks([callback])
    assert callback.on_train_batch_end.__func__ is Watch.on_train_batch_end  # type: ignore[attr-defined]
    assert callback.on_after_backward is print
    for hook in ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_before_optimizer_step"):
        assert getattr(callback, hook) is None
    assert callable(callback.on_train_end)  # no hook of each step


def test_the_profiler_that_does_nothing_can_be_nested() -> None:
    profiler = NoProfiler()
    with profiler.profile("step"), profiler.profile("hook"):
        pass


def test_lightnings_note_of_the_present_hook_is_an_attribute_as_ever() -> None:
    model = Bigram("ab", 3)
    model._current_fx_name = "training_step"
    assert model._current_fx_name == "training_step"
    assert "_current_fx_name" not in model.state_dict()
