"""The commands `validate` and `test` on LightningCLI."""

import logging
from pathlib import Path
from typing import Any, ClassVar

from jsonargparse import Namespace
from lightning.pytorch import Callback
from lightning.pytorch.cli import LightningArgumentParser

from sequentia.evaluation.evaluate import check_evaluates
from sequentia.files import sha256
from sequentia.runs.checkpoint import refused
from sequentia.runs.directory import ROOT, find_checkpoint
from sequentia.runs.loading import build_model
from sequentia.training.cli import TrainingCLI
from sequentia.training.logs.samples import Samples
from sequentia.training.options import options_to_evaluate
from sequentia.training.results import Results, add_arguments, is_own_data

log = logging.getLogger("sequentia")


class EvaluationCLI(TrainingCLI):
    """Evaluates a checkpoint on the data of its run, or on other data; prints and records the result."""

    not_options: ClassVar = {"dataloaders"}
    digest = ""  # SHA-256 of the checkpoint

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options of the result."""
        super().add_arguments_to_parser(parser)
        add_arguments(parser)

    def find_run(self) -> Path:
        """The checkpoint of `--ckpt_path`, by default the best of the newest run."""
        self.checkpoint = find_checkpoint(self.given.ckpt_path, self.given.root or ROOT)
        self.digest = sha256(self.checkpoint)  # before it is read: it can be replaced at any time
        return self.checkpoint.parent

    def base_options(self) -> dict[str, Any]:
        """Data and device of the run, and the architecture of the checkpoint."""
        return {} if self.architecture is None else options_to_evaluate(self.recorded or {}, self.architecture)

    def complete_trainer(self, config: Namespace, samples: Samples) -> tuple[list[Callback], dict[str, Any]]:
        """Measure, and write nothing to the run."""
        own_data = is_own_data(self.datamodule, self.loaded or {}, self.recorded)
        self.results = Results(self.subcommand, own_data, self.instances["valid"], self.instances["format"])
        return [self.results], {"logger": False, "check_val_every_n_epoch": 1}

    def after_instantiate_classes(self) -> None:
        """Take the checkpoint's model, and check that the data suits it."""
        if self.checkpoint is not None and self.loaded is not None:
            self.model = build_model(self.loaded, self.checkpoint, self.given.trust)
            if changed := self.changed_data():
                log.warning(f"{changed}: the metrics are of its current lines")
            check_evaluates(self.model, self.datamodule, "val" if self.subcommand == "validate" else "test")
        super().after_instantiate_classes()

    def validate(self, **kwargs: Any) -> None:
        """Evaluate, and print and record the result in place of Lightning. LightningCLI calls this."""
        self._log_evaluated()
        self.trainer.validate(**kwargs, verbose=False)
        self._report()

    def test(self, **kwargs: Any) -> None:
        """The same on the test lines."""
        self._log_evaluated()
        self.trainer.test(**kwargs, verbose=False)
        self._report()

    def _log_evaluated(self) -> None:
        if self.trainer.is_global_zero:
            log.info(f"evaluating {self.checkpoint} on {self.datamodule.shown_path}")
            self.log_changes(self.plain_options | {"model": self.base["model"]})  # the model is the checkpoint's

    def _report(self) -> None:
        if self.checkpoint is None or self.loaded is None:
            return
        if not self.results.values:
            raise refused(self.checkpoint, "its weights give probabilities that are NaN")
        if self.trainer.is_global_zero:
            print(self.results.text())
            precision = self.plain_options["trainer"]["precision"]
            changed = None if self.base["trainer"].get("precision") == precision else "trainer.precision"
            self.results.record(self.checkpoint, self.digest, self.loaded["global_step"], changed)
