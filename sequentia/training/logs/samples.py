"""The metrics of each validation of a run besides the losses, and a table of samples."""

import logging
from typing import cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.evaluation.baselines import baselines
from sequentia.evaluation.evaluate import Evaluation
from sequentia.evaluation.metrics import metrics

_MEASURED, _SHOWN = 200, 20  # samples
_ACCURACY_CHARACTERS = 4_096  # standard error below 0.008

log = logging.getLogger("sequentia")


class Samples(Evaluation):
    """Logs the metrics that are measured at each validation of a run, and writes a table of some samples.

    The seed of the samples is the same at each validation, so that only the model's progress changes them.

    Attributes:
        texts: The lines of the last validation.
    """

    def __init__(self) -> None:
        super().__init__(num_samples=_MEASURED, accuracy_characters=_ACCURACY_CHARACTERS, label_pairs=0)
        self.texts: list[str] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the NLLs of simple models on the validation lines, unless the run is resumed or nothing is held out."""
        data = cast(CharDataModule, trainer.datamodule)
        if trainer.ckpt_path is None and len(data.split.val):
            found = baselines(data, "val", ngram=False)
            values = ", ".join(f"{name.replace('_', ' ')} {nll:.4f}" for name, nll in found.items())
            log.info(f"baselines on the validation lines, in nats per character: {values}")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics, and write the table to TensorBoard."""
        try:
            self.values = metrics(self.measurement, fit=True)
        except UserError:  # probabilities that are NaN: StopWhenDiverged checks the weights before they are saved
            return
        pl_module.log_dict(self.values, sync_dist=True)
        samples = self.measurement.samples
        if samples is not None:
            self.texts = samples.texts
            if trainer.is_global_zero:
                rows = list(zip(samples.texts, samples.splits, strict=True))[:_SHOWN]
                for logger in trainer.loggers:
                    if isinstance(logger, TensorBoardLogger):
                        logger.experiment.add_text("samples", markdown(rows), trainer.global_step - 1)


def markdown(rows: list[tuple[str, str]]) -> str:
    """A table of samples and their splits. Samples are in code tags, so that none is read as markup."""
    lines = "\n".join(f"| {_code(text)} | {split} |" for text, split in rows)
    return f"| sample | split |\n|---|---|\n{lines}"


def _code(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;").replace("`", "&#96;")
    return f"<code>{escaped}</code>"
