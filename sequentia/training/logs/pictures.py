"""Pictures of the trained model for the loggers that can show them."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.reporting.heatmap import LARGEST, draw
from sequentia.reporting.predictions import draw_attention, draw_calibration, draw_nll_by_position, predict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("sequentia")

_LINES = 3  # whose attention maps are drawn
_LONGEST = 24  # characters of such a line: longer ones cannot be read


class Pictures(Callback):
    """Draws the trained model: heat map of character pairs, NLL by position, calibration, attention maps.

    All but the heat map are of validation lines. They are drawn once, because a picture takes as long as tens of steps.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the pictures: after the last checkpoint, so that no error can lose it."""
        model, data = cast(LanguageModel, pl_module), trainer.datamodule
        loggers = [logger for logger in trainer.loggers if isinstance(logger, _SHOW_PICTURES)]
        if not loggers or not trainer.is_global_zero or not isinstance(data, CharDataModule):
            return
        try:
            for name, figure in _figures(model, data):
                for logger in loggers:
                    _write(logger, f"view/{name}", figure, trainer.global_step - 1)
        except UserError as error:  # probabilities that are NaN
            log.warning(f"the model is not drawn: {error}")


_SHOW_PICTURES = (TensorBoardLogger, WandbLogger, MLFlowLogger)


def _figures(model: LanguageModel, data: CharDataModule) -> Iterator[tuple[str, "Figure"]]:
    if len(model.vocabulary) <= LARGEST:
        yield "next_character", draw(model, small=True)
    lines = data.split.val
    if len(lines) == 0:
        return
    predictions = predict(model, data, lines)
    yield "nll_by_position", draw_nll_by_position(predictions)
    yield "calibration", draw_calibration(predictions)
    texts = [data.corpus.line(int(i)) for i in lines[: 100 * _LINES]]
    for i, text in enumerate([text for text in texts if len(text) <= _LONGEST][:_LINES]):
        if (figure := draw_attention(model, text)) is not None:
            yield f"attention_{i + 1}", figure


def _write(logger: Logger, name: str, figure: "Figure", step: int) -> None:
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_figure(name, figure, step)
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if isinstance(logger, WandbLogger):
        import numpy as np

        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        logger.log_image(name, [np.asarray(canvas.buffer_rgba())], step=step)
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_figure(logger.run_id, figure, f"{name}.png")
