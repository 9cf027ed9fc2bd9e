"""What `validate` and `test` measure, print, and record in the run."""

import logging
from pathlib import Path
from typing import Any, Literal, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.evaluation.evaluate import NUM_SAMPLES, Quality, Split
from sequentia.evaluation.validity import load_valid
from sequentia.files import replacing
from sequentia.inference.batch import Batch
from sequentia.models import LanguageModel
from sequentia.reporting.tables import as_csv, as_json, as_table
from sequentia.runs.directory import BEST, CONFIG
from sequentia.training.loop.resume import has_changed

log = logging.getLogger("sequentia")

MEANINGS = {
    "loss": "NLL in nats per character; lower is better",
    "baseline_uniform": "NLL of a uniform guess",
    "baseline_bigram_counts": "NLL of counted character pairs",
    "baseline_ngram": "NLL of counted n-grams",
    "bits_per_char": "NLL in bits per character",
    "perplexity": "exp NLL: characters that the model hesitates between",
    "accuracy": "share of characters that the model finds most probable",
    "samples_unique": "share of distinct lines among the samples",
    "samples_novel": "share of the samples that are no training line",
    "samples_in_train": "share of the samples that are a training line",
    "samples_in_val": "share of the samples that are a validation line",
    "samples_in_test": "share of the samples that are a test line",
    "samples_near_copies": "share of the novel samples one edit from a training line",
    "samples_length_distance": "Wasserstein distance of lengths from the held-out lines",
    "samples_bigram_divergence": "Jensen-Shannon divergence of character pairs, in bits",
    "samples_valid": "share of the samples that --valid accepts",
    "samples_drawn": "number of samples",
    "lines": "number of held-out lines",
}
"""Name of each metric without its split -> what it means, for the table."""

_COUNTS = ("samples_drawn", "lines")
_SPLIT_OPTIONS = ("val_path", "test_path", "seed", "val_fraction", "test_fraction", "deduplicate")


def add_arguments(parser: LightningArgumentParser) -> None:
    """Add the options of `validate` and `test` that `fit` does not have."""
    parser.add_argument(
        "--format",
        type=Literal["table", "json", "csv"],
        default="table",
        help="How to print the result: a table for people, one JSON object, or CSV with a header and one line.",
    )
    parser.add_argument(
        "--valid",
        type=str | None,
        default=None,
        help="Measure which share of the samples is valid: module:function, a function of a text that returns whether "
        "it is. The module is in the current directory or installed.",
    )


class Results(Callback):
    """Measures `Quality` while the Trainer evaluates a model; then `text` and `record`.

    Args:
        command: `validate` or `test`.
        own_data: Whether the data is what the model was trained on; otherwise the metrics of samples are left out,
            because it is unknown which samples are new.
        valid: The option `--valid`.
        output: The option `--format`.
    """

    def __init__(self, command: str, own_data: bool, valid: str | None, output: str) -> None:
        self.command, self.output = command, output
        self.split: Split = "val" if command == "validate" else "test"
        self._own_data, self._valid_name = own_data, valid
        if valid is not None and not own_data:
            raise UserError("--valid needs the run's own data: omit the options of the data, or --valid")
        self._valid = None if valid is None else load_valid(valid)
        self.values: dict[str, float] = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start measuring."""
        self._data = cast(CharDataModule, trainer.datamodule)
        num_samples = NUM_SAMPLES if self._own_data else 0
        model = cast(LanguageModel, pl_module)
        self._quality = Quality(model, self._data, self.split, num_samples=num_samples, valid=self._valid)
        if not self._own_data and trainer.is_global_zero:
            log.info("samples are not measured: the model was trained on other data, or on another split of it")

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        """Add a batch."""
        self._quality.update(batch)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the result, unless the model has no probabilities to draw samples from."""
        if not self._quality.nll.compute().isnan():
            self.values = self._quality.compute()

    on_validation_start = on_test_start
    on_validation_batch_end = on_test_batch_end
    on_validation_epoch_end = on_test_epoch_end

    @property
    def plain(self) -> dict[str, float]:
        """The result with integers for what is counted."""
        counts = {f"{self.split}/{name}" for name in _COUNTS}
        return {name: int(value) if name in counts else value for name, value in self.values.items()}

    def text(self) -> str:
        """The result in the format that was asked for."""
        values = self.plain
        if self.output == "json":
            return as_json(values)
        if self.output == "csv":
            return as_csv(list(values), [values])
        rows = [
            [name, f"{value:,}" if isinstance(value, int) else f"{value:.4f}", MEANINGS[name.split("/")[1]]]
            for name, value in values.items()
        ]
        return as_table(["metric", "value", "meaning"], rows, right=[1])

    def record(self, checkpoint: Path, digest: str, step: int, changed: str | None) -> None:
        """Write the result to `test.json` or `validate.json` in the run, if it is a result of the run.

        It is one if the run's best checkpoint was evaluated on all held-out lines of the run's own data, with the run's
        own options. The file names the checkpoint by its hash, because a resumed run can find a better one.

        Args:
            checkpoint: The file that was evaluated.
            digest: Its hash when it was read; see `sequentia.files.sha256`.
            step: Its number of steps.
            changed: An option that changes the result and is not the run's; None if there is none.
        """
        run = checkpoint.parent
        reason = None
        if checkpoint.name != BEST or not (run / CONFIG).is_file():
            reason = f"{checkpoint} is not a run's {BEST}"
        elif not self._own_data:
            reason = "the data or its split is not the run's"
        elif changed is not None:
            reason = f"{changed} is not the run's"
        elif self.values[f"{self.split}/lines"] != len(getattr(self._data.split, self.split)):
            reason = "only a part of the lines was evaluated"
        path = run / f"{self.command}.json"
        if reason is not None:
            log.info(f"{path} is not written: {reason}")
            return
        content = self.plain | {"step": step, "checkpoint_sha256": digest, "valid": self._valid_name}
        try:
            with replacing(path) as temporary:
                temporary.write_text(f"{as_json(content)}\n", encoding="utf-8")
        except UserError as error:  # the directory of a run may be read-only
            log.warning(f"the result is not recorded in the run: {error}")


def is_own_data(data: CharDataModule, checkpoint: dict[str, Any], recorded: dict[str, Any] | None) -> bool:
    """Whether the lines and their split are those that a checkpoint was trained on.

    Args:
        data: The data.
        checkpoint: The content of the checkpoint.
        recorded: The options in the run's config.yaml.
    """
    options = (recorded or {}).get("data")
    if not isinstance(options, dict) or type(data).__name__ not in checkpoint or has_changed(data, checkpoint):
        return False
    return all(name in options and options[name] == getattr(data, name) for name in _SPLIT_OPTIONS)
