"""A picture of a bigram's table in TensorBoard at the end of training."""

from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from sequentia.heatmap import LARGEST, counts, draw
from sequentia.models import Bigram, LanguageModel


class BigramHeatMap(Callback):
    """Draws the table of a bigram, trained or counted, once: it takes longer than hundreds of its training steps.

    Other models, and vocabularies too large to draw, are left alone.
    """

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the picture."""
        model, logger = cast(LanguageModel, pl_module), trainer.logger
        if not isinstance(logger, TensorBoardLogger) or not trainer.is_global_zero:
            return
        if len(model.vocabulary) <= LARGEST and (isinstance(model, Bigram) or counts(model) is not None):
            logger.experiment.add_figure("bigrams", draw(model), trainer.global_step - 1)
