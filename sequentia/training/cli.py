"""LightningCLI with sequentia's data, models and runs: what `fit`, `validate` and `test` share."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import yaml
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, ReduceLROnPlateau
from torch.optim.lr_scheduler import LRScheduler

from sequentia.errors import UserError, cause_of
from sequentia.models import ARCHITECTURES, LanguageModel
from sequentia.models.counting import counts
from sequentia.runs.checkpoint import architecture_of, read_checkpoint
from sequentia.runs.directory import CONFIG, ROOT, read_config
from sequentia.runs.trust import import_trusted, is_class_path, only_trusted, refusal
from sequentia.training.logs.curves import Curves
from sequentia.training.logs.progress import RunProgress
from sequentia.training.logs.samples import Samples
from sequentia.training.loop.budget import parse_time
from sequentia.training.loop.checkpointing import BestCheckpoint
from sequentia.training.loop.processes import check_launcher
from sequentia.training.loop.resume import changes, has_changed
from sequentia.training.mistakes import check_callbacks, check_options, instantiation_message
from sequentia.training.options import Given, as_list

log = logging.getLogger("sequentia")


class TrainingCLI(LightningCLI, ABC):
    """A command whose options override those that a run recorded in `checkpoints/<config stem>/version_N`.

    Args:
        held: Closed when the command ends; it holds the lock of the run.
        subcommand: `fit`, `validate` or `test`. Only its parser is built, because each takes a few tenths of a second.
        started: When the command started, by `time.monotonic`.
        objects: Options of the Trainer that are no plain values; config.yaml does not record them.

    Attributes:
        given: What the arguments say about runs and data.
        checkpoint: The checkpoint that is resumed or evaluated, if there is one.
        loaded: Its content.
        architecture: The class of its model.
        recorded: The options in the config.yaml of its run.
        base: The options that the arguments override.
    """

    model: LanguageModel
    not_options: ClassVar[set[str]]
    """Arguments of the trainer's method that are not options of the command."""

    def __init__(
        self,
        held: ExitStack,
        subcommand: str,
        started: float,
        objects: dict[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.held, self.subcommand, self.started, self.objects = held, subcommand, started, objects
        self.checkpoint: Path | None = None
        self.loaded: dict[str, Any] | None = None
        self.architecture: type[LanguageModel] | None = None
        self.recorded: dict[str, Any] | None = None
        super().__init__(*args, **kwargs)

    @abstractmethod
    def find_run(self) -> Path | None:
        """Set `checkpoint`; returns the run directory whose options apply, or None.

        Raises:
            UserError: The arguments name no run or checkpoint.
        """

    @abstractmethod
    def base_options(self) -> dict[str, Any]:
        """The options that the arguments override, chosen from `recorded`."""

    @abstractmethod
    def complete_trainer(self, config: Namespace, samples: Samples) -> tuple[list[Callback], dict[str, Any]]:
        """The callbacks of the command, and the arguments of the Trainer that are no options.

        Args:
            config: The options of the Trainer, completed in place.
            samples: Draws samples during validation.
        """

    def subcommands(self) -> dict[str, set[str]]:
        """The subcommand, and the arguments of the trainer's method that are not options."""
        return {self.subcommand: {"model", "datamodule", "weights_only", "verbose", *self.not_options}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the groups `checkpoint`, `optimizer` and `lr_scheduler`, and pass vocabulary and length to the model."""
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_argument(
            "--compile",
            type=bool,
            default=False,
            help="Compile the model with torch.compile. It takes a minute, which pays off on a GPU or in long runs.",
        )
        parser.add_argument(
            "--extra_metrics",
            type=bool,
            default=True,
            help="Log more than the losses: quality of samples, accuracy, learning rates, gradient norm, speed, and "
            "pictures of the trained model. It takes about 2 percent of the time, and 3 seconds at the end.",
        )
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="Start a new run from the weights of a checkpoint: a file, or a run directory (its best checkpoint). "
            "The data may have other characters and longer lines.",
        )
        parser.add_optimizer_args((torch.optim.Optimizer,))
        parser.add_lr_scheduler_args((LRScheduler, ReduceLROnPlateau))
        parser.add_argument(
            "--lr_scheduler_interval",
            type=Literal["step", "epoch"] | None,
            default=None,
            help="When the schedule steps: after each optimizer step, or at the end of each epoch. By default after "
            "each step if it takes total_steps, otherwise each epoch.",
        )
        # An option with a default, so that config.yaml records it and `null` can keep the rate constant.
        parser.set_defaults({"lr_scheduler": {"class_path": "sequentia.schedule.WarmupDecay"}})
        for name, compute in (("vocabulary", lambda vocabulary: vocabulary.characters), ("context_length", None)):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", compute, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments, on top of the options that the run recorded if the command continues or evaluates one.

        `--ckpt_path` is not among them: Lightning would silently override the command line with the checkpoint's
        hyperparameters, and a run would resume because its config.yaml says so.

        Raises:
            UserError: The checkpoint or its run's config.yaml cannot be used, or options contradict each other.
        """
        self.arguments = args[1:]
        self.given = Given(self.subcommand, args[1:])
        directory = None if "--help" in args else self.find_run()
        if directory is not None and (directory / CONFIG).is_file():
            self.recorded = read_config(directory)
            own = filter(is_class_path, ARCHITECTURES)  # defined in this process: their code already runs
            self.held.enter_context(only_trusted([*self.given.trust, *own]))
        elif self.checkpoint is not None and not self.given.sets_data:
            raise UserError(f"no {CONFIG} beside {self.checkpoint}, which would name its data: give --data.path")
        if self.checkpoint is not None:
            self.loaded = read_checkpoint(self.checkpoint)
            self.architecture = architecture_of(self.loaded, self.checkpoint, self.given.trust)
        self.base = self.base_options()
        base = [f"--config={yaml.safe_dump(self.base)}"] if self.base else []
        try:
            # Lightning's own method warns if args are not sys.argv's.
            self.config = parser.parse_args([self.subcommand, *base, *self.given.arguments])
        except (UnicodeDecodeError, RecursionError) as error:
            raise UserError("a --config is not text, or nested too deeply: give a YAML file in UTF-8") from error
        except ArgumentError as error:
            if (refused := refusal(error)) is not None:
                raise refused from error
            for name in self.given.local_classes:
                import_trusted(name)  # says what is wrong with the user's code, which the parser does not
            raise
        except ImportError as error:  # fsspec reads s3://bucket/x only with s3fs
            raise UserError(f"an option needs a package that is not installed: {error}") from error
        if self.options.ckpt_path is not None:
            raise UserError("ckpt_path is set in a --config: give --ckpt_path instead")
        if self.checkpoint is not None and self.options.init_from != self.base.get("init_from"):
            raise UserError(
                f"--init_from starts a new run, but --ckpt_path {self.given.ckpt_path} takes one with its own weights: "
                "omit one of the two"
            )
        check_options(self.options)

    @property
    def options(self) -> Namespace:
        """The options of the subcommand."""
        return self.config[self.subcommand]

    @property
    def plain_options(self) -> dict[str, Any]:
        """The same options as the plain values that config.yaml records."""
        plain: dict[str, Any] = yaml.safe_load(self.parser.dump(self.config, skip_none=False))[self.subcommand]
        return plain

    @property
    def instances(self) -> Namespace:
        """The same options with classes instantiated."""
        return self.config_init[self.subcommand]

    def before_instantiate_classes(self) -> None:
        """Complete the options before anything slow is done."""
        options = self.options
        if options.trainer.default_root_dir is None:
            options.trainer.default_root_dir = str(
                self.given.root or ROOT / options.model.class_path.rpartition(".")[2].lower()
            )
        if options.trainer.accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
            if options.trainer.accelerator != "auto":
                raise UserError(
                    "Apple's GPU has no float64, in which metrics are summed: set --trainer.accelerator cpu"
                )
            options.trainer.accelerator = "cpu"
        with plain_errors():
            check_launcher(options.trainer)
        for name, remedy in _FIXED.items():
            if options.checkpoint[name] is not None:
                raise UserError(f"checkpoint.{name} cannot be set: {remedy}")

    def instantiate_classes(self) -> None:
        """Build data, model and trainer.

        Raises:
            UserError: An option is out of range.
        """
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, ImportError) as error:
            # jsonargparse tries every type that an option may have, and wraps what the class itself raised.
            cause = cause_of(error)
            if cause is error and (message := instantiation_message(error)):
                raise UserError(message) from error
            raise cause from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, with the callbacks and the logger of the command."""
        config = self.instances["trainer"]
        for name, value in self.objects.items():
            config[name] = value
        if config["max_time"] is not None:
            config["max_time"] = parse_time(str(config["max_time"]))
        curves, samples = Curves(vitals=self.instances["extra_metrics"]), Samples()
        given = as_list(config["callbacks"])
        check_callbacks(given, counts(self.model))
        show = config["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in given)
        progress = [RunProgress(curves, samples)] if show else []
        callbacks, arguments = self.complete_trainer(config, samples)
        self.trainer_defaults["callbacks"] = [curves, *progress, *callbacks]
        with plain_errors():
            return super().instantiate_trainer(**kwargs | arguments)

    def after_instantiate_classes(self) -> None:
        """Compile the model if asked."""
        if self.options.compile:
            self.model.compile(dynamic=True)  # in place: unlike torch.compile, it keeps the names of the weights

    def changed_data(self) -> str:
        """What to say if the data is that of the run but its lines have changed; empty otherwise."""
        if self.checkpoint is None or self.loaded is None or not has_changed(self.datamodule, self.loaded):
            return ""
        recorded = (self.recorded or {}).get("data")
        if self.given.sets_data or recorded != self.plain_options["data"]:  # the user names or splits the data anew
            return ""
        return f"{self.datamodule.shown_path} has changed since {self.checkpoint.parent} was started"

    def log_changes(self, now: dict[str, Any]) -> None:
        """Log each option that overrides what the run recorded."""
        for change in changes(self.base, now):
            log.info(f"  {change}")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what Lightning raises about its options into a `UserError`."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"invalid or conflicting trainer options: {error}") from error
    except ImportError as error:
        raise UserError(f"a trainer option needs a package that is not installed: {error}") from error


_FIXED = {
    "dirpath": "checkpoints are saved in the run directory; set --trainer.default_root_dir",
    "save_on_train_epoch_end": "checkpoints are written between two steps; set --checkpoint.every_n_train_steps",
}
"""Options of ModelCheckpoint that would have no effect."""
