"""One progress bar for the whole run."""

import time
from contextlib import suppress
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from tqdm import tqdm

from sequentia.text import colored, for_terminal, in_notebook, messages, printable, shorten
from sequentia.training.logs.samples import Samples
from sequentia.training.loop.length import describe_progress, planned_steps

_REFRESH = 0.2  # seconds between two updates
_NOTEBOOK_COLUMNS = 100
_SHOWN, _SHOWN_CHARACTERS = 5, 30  # samples per validation, and characters of each


class RunProgress(ProgressBar):
    """Completed steps, speed, elapsed and remaining time, and the latest losses; a few samples at each validation.

    Without a terminal or a notebook, it prints lines instead of a bar.

    Args:
        samples: The callback with the samples; none are shown if the trainer does not have it.
    """

    def __init__(self, samples: Samples) -> None:
        super().__init__()
        self._samples = samples
        self._bar: tqdm | None = None
        self._updated = 0.0
        self._enabled = True

    def disable(self) -> None:
        """Print nothing; Lightning calls this in all processes but the first."""
        self._enabled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar."""
        if self._enabled and (messages().isatty() or in_notebook()):
            self._bar = tqdm(
                file=messages(),
                total=planned_steps(trainer),
                initial=trainer.global_step,
                # tqdm cuts the right end to fit.
                bar_format="{n_fmt}/{total_fmt}{desc} |{bar}| {elapsed}<{remaining}, {rate_fmt}",
                unit=" steps",
                ncols=_NOTEBOOK_COLUMNS if in_notebook() else None,
                dynamic_ncols=not in_notebook(),
                mininterval=_REFRESH,
            )

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Advance the bar, a few times per second."""
        if time.monotonic() - self._updated >= _REFRESH:
            self._update(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the new validation loss, and samples."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._update(trainer)  # first, because the bar is drawn again below the line
            if self._enabled and (self._bar is None or self._samples.shown):
                with suppress(OSError):  # the terminal was closed; the run must still be saved
                    tqdm.write(for_terminal(self._line(trainer), messages()), file=messages())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar."""
        self._update(trainer)
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the error message starts on a new line."""
        self._close()

    def _line(self, trainer: Trainer) -> str:
        texts = [shorten(printable(text), _SHOWN_CHARACTERS) for text in self._samples.shown[:_SHOWN]]
        samples = ["samples " + ", ".join(texts)] if texts else []
        done = describe_progress(trainer, trainer.global_step)
        return "  ".join([done, *self._losses(trainer), *self._verdict(trainer), *samples])

    def _verdict(self, trainer: Trainer) -> list[str]:
        """Whether the validation loss is the lowest of the run, and the best simple model that it is below."""
        saver, loss = trainer.checkpoint_callback, trainer.callback_metrics.get("val/loss")
        if loss is None:
            return []
        best = saver.best_model_score if isinstance(saver, ModelCheckpoint) and saver.monitor == "val/loss" else loss
        new = [colored("(new best)", "green", messages())] if best is None or loss < best else []
        below = {nll: name for name, nll in self._samples.baselines.items() if nll > loss}
        return new + [f"below the {below[nll].replace('_', ' ')} baseline {nll:.4f}" for nll in sorted(below)[:1]]

    def _update(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._updated = time.monotonic()
            self._bar.total = planned_steps(trainer)  # a time limit changes it
            # The right end is the first to be cut in a narrow terminal, so the more important loss is on the left.
            self._bar.set_description_str(
                "".join(f"  {loss}" for loss in reversed(self._losses(trainer))), refresh=False
            )
            self._bar.update(trainer.global_step - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _losses(self, trainer: Trainer) -> list[str]:
        metrics = trainer.callback_metrics
        return [f"{name} {metrics[name]:.4f}" for name in ("train/loss", "val/loss") if name in metrics]
