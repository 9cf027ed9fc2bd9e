"""The commands `validate` and `test` on LightningCLI."""

import logging
from pathlib import Path
from typing import Any, ClassVar

from jsonargparse import Namespace
from lightning.pytorch import Callback
from lightning.pytorch.cli import LightningArgumentParser

from sequentia.errors import UserError
from sequentia.evaluation.evaluate import Evaluation, check_evaluates
from sequentia.evaluation.measurement import NUM_SAMPLES, HeldOut
from sequentia.evaluation.validity import load_valid
from sequentia.files import sha256
from sequentia.runs.checkpoint import build_model
from sequentia.runs.directory import ROOT, find_checkpoint
from sequentia.training.cli import TrainingCLI
from sequentia.training.logs.samples import Samples
from sequentia.training.options import options_to_evaluate
from sequentia.training.results import Format, as_text, is_own_data, record

log = logging.getLogger("sequentia")


class EvaluationCLI(TrainingCLI):
    """Evaluates a checkpoint on the data of its run, or on other data; prints and records the result."""

    not_options: ClassVar = {"dataloaders"}
    digest = ""  # SHA-256 of the checkpoint

    @property
    def split(self) -> HeldOut:
        """The held-out lines."""
        return "val" if self.subcommand == "validate" else "test"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options of the result."""
        super().add_arguments_to_parser(parser)
        parser.add_argument(
            "--format",
            type=Format,
            default="table",
            help="How to print the result: a table for people, one JSON object, or CSV with a header and one line.",
        )
        parser.add_argument(
            "--valid",
            type=str | None,
            default=None,
            help="Measure the fraction of valid samples: module:function, a function of a text that returns whether it "
            "is valid. The module is in the current directory or installed.",
        )

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
        self.own_data = is_own_data(self.datamodule, self.loaded or {}, self.recorded)
        valid = self.instances["valid"]
        if valid is not None and not self.own_data:
            raise UserError("--valid needs the run's own data: omit the options of the data, or --valid")
        self.evaluation = Evaluation(
            num_samples=NUM_SAMPLES if self.own_data else 0, valid=None if valid is None else load_valid(valid)
        )
        return [self.evaluation], {"logger": False, "check_val_every_n_epoch": 1}

    def after_instantiate_classes(self) -> None:
        """Take the checkpoint's model, and check that the data suits it."""
        if self.checkpoint is not None and self.loaded is not None:
            self.model = build_model(self.loaded, self.checkpoint, self.given.trust)
            if changed := self.changed_data():
                log.warning(f"{changed}: the metrics are of its current lines")
            check_evaluates(self.model, self.datamodule, self.split)
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
            if not self.own_data:
                log.info("samples are not measured: the model was trained on other data, or on another split of it")
            self.log_changes(self.plain_options | {"model": self.base["model"]})  # the model is the checkpoint's

    def _report(self) -> None:
        """Print the result, and record it if it is one of the run."""
        if self.checkpoint is None or self.loaded is None or not self.trainer.is_global_zero:
            return
        values = self.evaluation.values
        print(as_text(values, self.instances["format"]))
        foreign = None
        if not self.own_data:
            foreign = "the data or its split is not the run's"
        elif self.base["trainer"].get("precision") != self.plain_options["trainer"]["precision"]:
            foreign = "trainer.precision is not the run's"
        elif values[f"{self.split}/lines"] != len(getattr(self.datamodule.split, self.split)):
            foreign = "only a part of the lines was evaluated"
        about = {"step": self.loaded["global_step"], "checkpoint_sha256": self.digest, "valid": self.instances["valid"]}
        record(self.checkpoint.parent / f"{self.subcommand}.json", values | about, self.checkpoint, foreign)
