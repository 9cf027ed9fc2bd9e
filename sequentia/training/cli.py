"""The commands `fit`, `validate` and `test` on LightningCLI, with sequentia's data, models and runs."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, Namespace
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from sequentia.data import CharDataModule
from sequentia.data.paths import OPTIONS, shown
from sequentia.errors import UserError, cause_of, out_of_memory
from sequentia.evaluation.evaluate import Evaluation, check_evaluates
from sequentia.evaluation.metrics import NUM_SAMPLES, HeldOut
from sequentia.evaluation.validity import load_valid
from sequentia.files import expanded, remove_leftovers, replacing
from sequentia.models import ARCHITECTURES, LanguageModel, Mixture
from sequentia.models.base import check_same_vocabulary
from sequentia.reporting.tables import as_json, metrics_as_text
from sequentia.runs.checkpoint import build_model, load
from sequentia.runs.directory import BEST, ROOT, create_run, find_checkpoint, locked, remove_if_never_begun
from sequentia.runs.lines import kept
from sequentia.runs.trust import foreign_classes, is_class_path, only_trusted
from sequentia.training.logs.curves import Curves
from sequentia.training.logs.messages import closing_message
from sequentia.training.logs.metrics_file import MetricsFile
from sequentia.training.logs.progress import RunProgress
from sequentia.training.logs.samples import Samples
from sequentia.training.logs.tensorboard import RunTensorBoard, TensorBoardSummary
from sequentia.training.loop.budget import Budget, parse_time
from sequentia.training.loop.checkpointing import AtomicCheckpointIO, BestCheckpoint, SaveConfig
from sequentia.training.loop.finetuning import initialize, set_optimizer
from sequentia.training.loop.length import UNDECIDED, LogLength, set_length
from sequentia.training.loop.members import DEFAULT_TIME, described, members_for
from sequentia.training.loop.processes import check_launcher, processes, slurm_without_requeue
from sequentia.training.loop.resume import ExactResume, check_fits, check_unfinished
from sequentia.training.loop.stopping import CheckMonitors, Interrupted, StopOnSignal, StopWhenDiverged, failure
from sequentia.training.mistakes import check_options, innermost, parser_error
from sequentia.training.options import Given, add_options, as_list, locate
from sequentia.training.source import LEAK, Source, find_source

log = logging.getLogger("sequentia")


class SequentiaCLI(LightningCLI):
    """A command whose options override those that a run recorded in `checkpoints/<config stem>/version_N`.

    `fit` starts a run or resumes one; `validate` and `test` evaluate a checkpoint, and write nothing but their result.

    Args:
        held: Closed when the command ends; it holds the lock of the run.
        subcommand: `fit`, `validate` or `test`. Only its parser is built, because each takes a few tenths of a second.
        arguments: The arguments after the subcommand.
        started: When the command started, by `time.monotonic`.
        objects: Options of the Trainer that `sequentia.fit` was given and that are not plain values; config.yaml does
            not record them. None for the command.

    Attributes:
        given: The part of the arguments that decides on run and data.
        source: The run or checkpoint that the command starts from.
        run: The run directory that `fit` writes to.
        split: The held-out lines that `validate` and `test` evaluate on.
    """

    model: LanguageModel
    run: Path | None

    def __init__(
        self, held: ExitStack, subcommand: str, arguments: list[str], started: float, objects: dict[str, Any] | None
    ) -> None:
        self.held, self.subcommand, self.started, self.objects = held, subcommand, started, objects
        self.split: HeldOut = "val" if subcommand == "validate" else "test"
        super().__init__(
            LanguageModel,
            CharDataModule,
            subclass_mode_model=True,
            save_config_callback=None,
            seed_everything_default=0,
            trainer_defaults={
                "num_sanity_val_steps": 0,
                "enable_model_summary": False,
                "callbacks": [],
                "check_val_every_n_epoch": None,  # the validation interval is counted in steps across epochs
            },
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"prog": "sequentia", "exit_on_error": False, "allow_abbrev": False},
            args=[subcommand, *arguments],
        )

    def subcommands(self) -> dict[str, set[str]]:
        """The subcommand, and the arguments of the trainer's method that are not options."""
        loaders = {"dataloaders", "train_dataloaders", "val_dataloaders"}
        return {self.subcommand: {"model", "datamodule", "weights_only", "verbose", *loaders}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options that are not the Trainer's, and pass vocabulary and length to the model."""
        add_options(parser, self.subcommand)
        self.subparser = parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments, on top of the options that the run recorded if the command continues or evaluates one.

        `--ckpt_path` is not among them: Lightning would silently override the command line with the checkpoint's
        hyperparameters, and a run would resume because its config.yaml says so.

        Raises:
            UserError: The checkpoint or its run's config.yaml cannot be used, or options contradict each other.
        """
        self.given = given = Given(self.subcommand, args[1:])
        self.source = Source() if "--help" in args else find_source(self.subcommand, given)
        self.run, base = self.source.run, self.source.base
        if self.source.recorded or given.trained:
            # Architectures that are defined in this process are trusted: their code already runs.
            own = [] if self.source.recorded else given.classes
            self.held.enter_context(only_trusted([*given.trust, *own, *filter(is_class_path, ARCHITECTURES)]))
        arguments = [f"--config={yaml.safe_dump(base)}"] if base else []
        try:
            # Lightning's own method warns if args are not sys.argv's.
            self.config = parser.parse_args([self.subcommand, *arguments, *given.arguments])
        except (ArgumentError, UnicodeDecodeError, RecursionError, ImportError) as error:
            raise parser_error(error, given, self.subparser.get_defaults().keys()) from error
        if self.options.ckpt_path is not None:
            raise UserError("ckpt_path is set in a --config: give --ckpt_path instead")
        check_options(self.options)
        locate(self.options)
        if self.source.checkpoint is not None and self.options.init_from != base.get("init_from"):
            raise UserError("--init_from starts a new run, but a checkpoint is resumed or evaluated: omit --init_from")

    @property
    def options(self) -> Namespace:
        """The options of the subcommand."""
        return self.config[self.subcommand]

    @property
    def plain_options(self) -> dict[str, Any]:
        """The same options as the plain values that config.yaml records."""
        return dict(yaml.safe_load(self.parser.dump(self.config, skip_none=False))[self.subcommand])

    @property
    def instances(self) -> Namespace:
        """The same options with classes instantiated."""
        return self.config_init[self.subcommand]

    def before_instantiate_classes(self) -> None:
        """Complete the options and lock the run before anything slow is done."""
        options = self.options
        options.trainer.default_root_dir = expanded(options.trainer.default_root_dir or self.given.root or ROOT)
        self.source.check_files(options.data)
        if options.trainer.accelerator == "auto" and torch.backends.mps.is_available():
            options.trainer.accelerator = "cpu"  # Apple's GPU has no float64, which metrics need
        if self.run is not None:
            self._lock(self.run)

    def instantiate_classes(self) -> None:
        """Build data, model and trainer.

        Raises:
            UserError: An option is out of range.
        """
        try:
            check_launcher(self.options.trainer)
            if self.subcommand == "fit":
                data, trainer = self.options.data, self.options.trainer
                for name in OPTIONS:
                    data[name] = kept(data[name], Path(trainer.default_root_dir), alone=processes(trainer) == 1)
            super().instantiate_classes()
            if self.trainer.world_size > 1:
                log.info(f"waiting until all {self.trainer.world_size} processes have started")
        except (ValueError, TypeError, OverflowError, RuntimeError, ImportError) as error:
            # jsonargparse tries every type that an option may have, and wraps what the class itself raised.
            cause = cause_of(error)
            if cause is error and not out_of_memory(error):
                missing, invalid = "an option needs a package that is not installed", "invalid or conflicting options"
                kind = missing if isinstance(error, ImportError) else invalid
                raise UserError(f"{kind}: {innermost(str(error))}") from error
            raise cause from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, with the callbacks and the logger of the command."""
        config = self.instances["trainer"]
        config.update(Namespace(self.objects or {}))
        for name in ("max_time", "val_check_interval"):
            if isinstance(config[name], str | dict):
                config[name] = parse_time(str(config[name]), name)
        curves, samples = Curves(vitals=self.instances["extra_metrics"]), Samples()
        given = as_list(config["callbacks"])
        show = config["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in given)
        progress = [RunProgress(samples)] if show else []
        callbacks, arguments = self._to_fit(config, samples) if self.subcommand == "fit" else self._to_evaluate()
        self.trainer_defaults["callbacks"] = [curves, *progress, *callbacks]
        trainer = super().instantiate_trainer(**kwargs | arguments)
        if isinstance(config["val_check_interval"], timedelta):
            trainer.val_check_interval = UNDECIDED  # Lightning leaves it out, but EarlyStopping reads it
        return trainer

    def _to_fit(self, config: Namespace, samples: Samples) -> tuple[list[Callback], dict[str, Any]]:
        """Choose the members of a mixture, set the optimizer, fix the length, and create the run directory.

        Args:
            config: The options of the Trainer, completed in place.
            samples: Draws samples during validation.

        Returns:
            The callbacks of the command, and the arguments of the Trainer that are not options.
        """
        if type(self.model) is Mixture and self.options.model.init_args.members is None:
            self._choose_members(config)
        set_optimizer(self.model, self.instances)
        self.saver: BestCheckpoint = self.instances["checkpoint"]
        last, extra, default = self.saver.last, self.instances["extra_metrics"], config["logger"] in (None, True)
        limit, recorded = config["max_time"], self.options["trainer"]
        timed = set_length(config, recorded, self.datamodule, self.model)
        if self.source.content:
            check_unfinished(config, self.source.content, str(self.source.checkpoint), self.model.single_epoch)
        if self.run is None:  # created this late because by now options and data are known to be valid
            root = Path(config["default_root_dir"])
            self.run = create_run(root) if rank_zero_only.rank == 0 else root
            self._lock(self.run)
        self.saver.dirpath = str(self.run.resolve())
        self.resume = ExactResume(int(self.instances["seed_everything"]))
        save = SaveConfig(self.run, lambda: self.plain_options)
        length: Callback = LogLength()
        if timed:
            length = Budget(limit, self.started, recorded, save, last)
            config["max_time"] = None  # Lightning's clock would stop the run
        callbacks = [length, CheckMonitors(extra), StopWhenDiverged(last), self.resume, StopOnSignal(last)]
        if extra:
            callbacks += [samples, TensorBoardSummary(self.run)]
        plugins = [*as_list(config["plugins"]), AtomicCheckpointIO(), *slurm_without_requeue()]
        step = int(self.source.content.get("global_step", 0))
        loggers = [RunTensorBoard(self.run, purge_step=step)] if default else as_list(config["logger"] or None)
        return [*callbacks, save, last], {"plugins": plugins, "logger": [*loggers, MetricsFile(self.run, step)]}

    def _choose_members(self, config: Namespace) -> None:
        """If no length is given, train for the default time unless one is given, with the members that suit it."""
        if config["max_steps"] != -1 or config["max_epochs"] not in (None, -1) or config["fast_dev_run"]:
            return
        options = self.options
        if config["max_time"] is None:
            config["max_time"], options.trainer.max_time = parse_time(DEFAULT_TIME), DEFAULT_TIME
        lines = len(self.datamodule.split.train)
        members = members_for(config["max_time"], self.datamodule.train_characters, lines)
        torch.manual_seed(int(options.seed_everything))  # the recorded config.yaml makes the same weights
        self.model = Mixture(self.model.vocabulary.plain, self.model.context_length, members)
        options.model.init_args.members = members
        if rank_zero_only.rank == 0:
            log.info(f"members of the mixture: {described(members)}; --model.members overrides them")

    def _lock(self, run: Path) -> None:
        """Keep other processes from writing to the run."""
        if rank_zero_only.rank == 0:
            self.held.callback(remove_if_never_begun, run)
            self.held.enter_context(locked(run))
            remove_leftovers(run)

    def _to_evaluate(self) -> tuple[list[Callback], dict[str, Any]]:
        """Measure, and write nothing to the run."""
        self.own_data = self.source.is_own_data(self.datamodule)
        valid = self.instances["valid"]
        if valid is not None and not self.own_data:
            raise UserError("--valid measures samples, which needs the lines that the run was trained on: omit --valid")
        is_valid = None if valid is None else load_valid(valid)
        self.evaluation = Evaluation(num_samples=NUM_SAMPLES if self.own_data else 0, valid=is_valid)
        return [self.evaluation], {"logger": False, "check_val_every_n_epoch": 1}

    def after_instantiate_classes(self) -> None:
        """Check that checkpoint, options and data suit each other, or copy the weights to start from.

        Raises:
            UserError: The checkpoint cannot be resumed or evaluated with these options.
        """
        changed = "" if self.given.sets_data else self.source.changed(self.datamodule, self.plain_options["data"])
        if self.subcommand == "fit" and self.source.checkpoint is not None:
            if changed:
                raise UserError(f"{changed}: restore it, or train on the new lines with --data.path")
            check_fits(self.model, self.source.content)
        elif self.source.checkpoint is not None:
            self.model = build_model(self.source.content, self.source.checkpoint, self.given.trust)
            if changed:
                log.warning(f"{changed}: the metrics are of its current lines")
            remedy = "`sequentia score --path` takes lines of any characters"
            check_same_vocabulary(self.model.vocabulary, self.datamodule.vocabulary, remedy)
            check_evaluates(self.model, self.datamodule, self.split)
        elif self.options.init_from is not None:  # in a resumed run it only records where the run came from
            path = Path(shown(str(find_checkpoint(self.options.init_from))))
            log.info(initialize(self.model, load(path, trust=self.given.trust), path))
        if self.options.compile:
            self.model.compile(dynamic=True)  # in place: unlike torch.compile, it keeps the names of the weights

    def before_fit(self) -> None:
        """Log where the run is saved, and the changes since it was started."""
        if not self.trainer.is_global_zero:
            return
        if "16" in self.trainer.precision and self.trainer.strategy.root_device.type == "cpu":
            precision = f"trainer.precision {self.trainer.precision} makes most models slower on a CPU"
            log.warning(f"{precision}: set --trainer.precision 32-true")
        if self.source.checkpoint is not None:
            log.info(f"resuming {self.source.checkpoint} at step {self.source.content['global_step']}")
            self.source.log_changes(self.plain_options)
            if self.source.has_other_lines(self.datamodule):
                log.info(f"  the lines of {self.datamodule.shown_path} changed: {LEAK}")
            return
        log.info(f"starting run {self.run}: {self.model.describe()}")

    def fit(self, **kwargs: Any) -> None:
        """Train. LightningCLI calls this in place of `Trainer.fit`.

        Raises:
            UserError: The training state of the checkpoint is damaged or does not fit the options, or a callback, a
                logger or the schedule failed.
            Interrupted: A signal stopped the run.
        """
        kwargs |= {"ckpt_path": self.source.checkpoint, "weights_only": True}
        try:
            self.trainer.fit(**kwargs)
        except (UserError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            under_way = self.resume.under_way
            if under_way or isinstance(error, Interrupted):
                self._log_closing()
            if (cause := failure(error, self.trainer, self.source.checkpoint, under_way)) is None:
                raise
            raise cause from error
        self._log_closing()

    def _log_closing(self) -> None:
        if self.trainer.is_global_zero and self.run is not None:
            classes = foreign_classes(self.plain_options)
            log.info(closing_message(self.run, self.trainer, self.saver, classes, self.objects is not None))

    def validate(self, **kwargs: Any) -> None:
        """Evaluate, and print and record the result in place of Lightning. LightningCLI calls this."""
        self._evaluate(self.trainer.validate, kwargs)

    def test(self, **kwargs: Any) -> None:
        """The same on the test lines."""
        self._evaluate(self.trainer.test, kwargs)

    def _evaluate(self, evaluate: Callable[..., Any], arguments: dict[str, Any]) -> None:
        if self.trainer.is_global_zero:
            log.info(f"evaluating {self.source.checkpoint} on {self.datamodule.shown_path}")
            if not self.own_data:
                log.info("samples are not measured: the model was trained on other data, or on another split of it")
            self.source.log_changes(self.plain_options | {"model": self.source.base["model"]})  # the checkpoint's model
        evaluate(**arguments, verbose=False)
        if self.source.checkpoint is None or not self.trainer.is_global_zero:
            return
        values = self.evaluation.values
        print(metrics_as_text(values, self.instances["format"]))
        path = self.source.checkpoint.parent / f"{self.subcommand}.json"
        complete = values[f"{self.split}/lines"] == len(getattr(self.datamodule.split, self.split))
        precisions = {options["trainer"].get("precision") for options in (self.source.base, self.plain_options)}
        if self.source.checkpoint.name == BEST and self.own_data and complete and len(precisions) == 1:
            # The checksum, because a resumed run can find a better checkpoint.
            about = {"step": self.source.content["global_step"], "checkpoint_sha256": self.source.digest}
            text = as_json(values | about | {"valid": self.instances["valid"]})
            try:
                with replacing(path) as temporary:
                    temporary.write_text(f"{text}\n", encoding="utf-8")
            except UserError as error:  # the directory of a run may be read-only
                log.warning(f"the result is not recorded in the run: {error}")
        else:
            log.info(f"{path} is not written: it is for the best checkpoint, on all lines, with the run's own options")
