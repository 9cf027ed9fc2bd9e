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
from sequentia.inference.sampling import Sample
from sequentia.runs.history import BASELINES

_MEASURED, _SHOWN = 200, 20  # samples
_MEASURED_CHARACTERS = 10_000  # of the samples: fewer of long lines are measured, but no fewer than are shown
_ACCURACY_CHARACTERS = 4_096  # standard error below 0.008

log = logging.getLogger("sequentia")


class Samples(Evaluation):
    """Logs the metrics that are measured at each validation of a run, and writes a table of some samples.

    The seed of the samples is the same at each validation, so that only the model's progress changes them.

    Attributes:
        shown: The lines of the last validation, with their labels.
        baselines: NLLs of simple models on the validation lines.
    """

    def __init__(self) -> None:
        super().__init__(num_samples=_MEASURED, accuracy_characters=_ACCURACY_CHARACTERS, label_pairs=0)
        self.shown: list[str] = []
        self.baselines: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the number of samples, and measure simple models on the validation lines, if any are held out."""
        data = cast(CharDataModule, trainer.datamodule)
        length = data.train_characters / max(1, len(data.split.train))
        self._options["num_samples"] = max(_SHOWN, min(_MEASURED, int(_MEASURED_CHARACTERS / length)))
        if len(data.split.val):
            self.baselines = baselines(data, "val")
            values = ", ".join(f"{name.replace('_', ' ')} {nll:.4f}" for name, nll in self.baselines.items())
            if trainer.ckpt_path is None:  # a new run
                log.info(f"baselines on the validation lines, in nats per character: {values}")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics, and write the table to TensorBoard."""
        try:
            self.values = metrics(self.measurement, fit=True)
        except UserError:  # probabilities that are NaN: StopWhenDiverged checks the weights before they are saved
            return
        pl_module.log_dict(self.values, sync_dist=True)
        pl_module.log_dict({f"{BASELINES}/{name}": nll for name, nll in self.baselines.items()}, sync_dist=True)
        samples = self.measurement.samples
        if samples is not None:
            drawn = self.measurement.drafts
            self.shown = [sample.shown for sample in drawn]
            if trainer.is_global_zero:
                rows = list(zip(drawn, samples.splits, strict=True))[:_SHOWN]
                for logger in trainer.loggers:
                    if isinstance(logger, TensorBoardLogger):
                        logger.experiment.add_text("samples", markdown(rows), trainer.global_step - 1)


def markdown(rows: list[tuple[Sample, str]]) -> str:
    """A table of samples, their labels if any has one, and their splits. Code tags let none be read as markup."""
    table = [["sample", "split"], ["---", "---"], *([_code(sample.text), split] for sample, split in rows)]
    if any(sample.label for sample, _ in rows):
        labels = ["label", "---", *(_code(sample.label) for sample, _ in rows)]
        table = [[label, *row] for label, row in zip(labels, table, strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


def _code(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;").replace("`", "&#96;")
    return f"<code>{escaped}</code>"
