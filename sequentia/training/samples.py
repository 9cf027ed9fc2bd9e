"""A table of samples in TensorBoard at each validation."""

from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from sequentia.data import CharDataModule
from sequentia.models import LanguageModel


class SampleTable(Callback):
    """Draws a few lines at each validation and marks each as new, or a line of train, val or test.

    Args:
        num_samples: How many.
        seed: Seed of the draw: the same at each validation, so that the table shows the model's change alone.
    """

    def __init__(self, num_samples: int = 20, seed: int = 0) -> None:
        self.num_samples, self.seed = num_samples, seed

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the table."""
        logger = trainer.logger
        if not isinstance(logger, TensorBoardLogger) or not trainer.is_global_zero or trainer.sanity_checking:
            return
        if trainer.state.fn != "fit" or not isinstance(trainer.datamodule, CharDataModule):
            return
        model = cast(LanguageModel, pl_module)
        texts = model.sample(self.num_samples, seed=self.seed, max_length=model.context_length - 1)
        logger.experiment.add_text("samples", table(texts, trainer.datamodule.sides(texts)), trainer.global_step - 1)


def table(texts: list[str], sides: list[str]) -> str:
    """A Markdown table of samples; each stands as code, so that nothing in it is taken for markup."""
    rows = "\n".join(f"| {_code(text)} | {side} |" for text, side in zip(texts, sides, strict=True))
    return f"| sample | is |\n|---|---|\n{rows}"


def _code(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;").replace("`", "&#96;")
    return f"<code>{escaped}</code>"
