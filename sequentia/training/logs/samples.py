"""What a validation measures besides the losses: accuracy, and the quality of samples."""

import logging
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.evaluation.baselines import baselines
from sequentia.evaluation.evaluate import BIGRAM_CHARACTERS, update_accuracy
from sequentia.evaluation.samples import SampleQuality
from sequentia.inference.batch import Batch
from sequentia.inference.likelihood import CharacterAccuracy
from sequentia.models import LanguageModel

_ACCURACY_CHARACTERS = 4_096  # evaluated for the accuracy: standard error below 0.008
_EDITS = 500_000  # edited samples that are looked up at each validation: about 0.1 seconds

log = logging.getLogger("sequentia")


class LogBaselines(Callback):
    """Logs the NLLs of a uniform guess and of counted bigrams on the validation lines, before the first step."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log them, unless the run is resumed, nothing is held out, or counting would take long."""
        data = trainer.datamodule
        if trainer.ckpt_path is not None or not isinstance(data, CharDataModule) or len(data.split.val) == 0:
            return
        if data.train_characters <= BIGRAM_CHARACTERS:
            found = baselines(data, "val", ngram=False)
            values = ", ".join(f"{name.replace('_', ' ')} {nll:.4f}" for name, nll in found.items())
            log.info(f"baselines on the validation lines, in nats per character: {values}")


class Accuracy(Callback):
    """Logs `val/accuracy`: the share of predicted characters that are the model's most probable ones.

    It needs the logits of all tokens, which the NLL of some models does not compute. So it is measured on a fixed part
    of the rows: every n-th, of about 4,096 characters in all.
    """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the rows."""
        self._metric = CharacterAccuracy().to(pl_module.device)
        data = trainer.datamodule
        characters = data.val_characters if isinstance(data, CharDataModule) else 0
        self._every = max(1, characters // _ACCURACY_CHARACTERS)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *args: Any
    ) -> None:
        """Evaluate them."""
        update_accuracy(self._metric, cast(LanguageModel, pl_module), batch, self._every)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log it."""
        pl_module.log("val/accuracy", self._metric.compute().float(), sync_dist=True)


class Samples(Callback):
    """Draws lines at each validation, logs `val/samples_*` (see `SampleQuality`), and writes a table of some of them.

    Args:
        num_samples: Number of lines that are measured; all processes draw the same, and each measures its share.
        num_shown: Number of lines in the table, each marked as new or as a line of a split.
        seed: Seed of the draw: the same at each validation, so that only the model's progress changes the lines.

    Attributes:
        texts: The lines of the last validation.
    """

    def __init__(self, num_samples: int = 200, num_shown: int = 20, seed: int = 0) -> None:
        self.num_samples, self.num_shown, self.seed = num_samples, num_shown, seed
        self.texts: list[str] = []
        self._quality: SampleQuality | None = None

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the lines, log their metrics, and write the table to the loggers that can show one."""
        data, model = trainer.datamodule, cast(LanguageModel, pl_module)
        if trainer.state.fn != "fit" or trainer.sanity_checking or not isinstance(data, CharDataModule):
            return
        try:
            self.texts = model.sample(self.num_samples, seed=self.seed, max_length=model.context_length - 1)
        except UserError:  # probabilities that are NaN: StopWhenDiverged reports the NaN loss of this validation
            return
        if self._quality is None:
            self._quality = SampleQuality(data, "val", _EDITS // trainer.world_size).to(model.device)
        self._quality.update(self.texts[trainer.global_rank :: trainer.world_size])
        values = self._quality.compute()
        self._quality.reset()
        model.log_dict({f"val/samples_{name}": value.float() for name, value in values.items()}, sync_dist=True)
        if trainer.is_global_zero:
            shown = self.texts[: self.num_shown]
            rows = list(zip(shown, data.splits_of(shown), strict=True))
            for logger in trainer.loggers:
                _write_table(logger, rows, trainer.global_step - 1)


def _write_table(logger: Logger, rows: list[tuple[str, str]], step: int) -> None:
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_text("samples", markdown(rows), step)
    elif isinstance(logger, WandbLogger):
        logger.log_text("samples", columns=["sample", "split"], data=[list(row) for row in rows], step=step)


def markdown(rows: list[tuple[str, str]]) -> str:
    """A table of samples and their splits. Samples are in code tags, so that none is read as markup."""
    lines = "\n".join(f"| {_code(text)} | {split} |" for text, split in rows)
    return f"| sample | split |\n|---|---|\n{lines}"


def _code(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;").replace("`", "&#96;")
    return f"<code>{escaped}</code>"
