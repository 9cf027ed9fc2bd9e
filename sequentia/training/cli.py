"""LightningCLI with sequentia's data, models and runs: the commands `fit`, `validate` and `test`."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name
from tempfile import NamedTemporaryFile
from typing import Any, Literal

import torch
import yaml
from jsonargparse import ArgumentError, Namespace
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder, ProgressBar, WeightAveraging
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, ReduceLROnPlateau
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.optim.lr_scheduler import LRScheduler

from sequentia.checkpoint import read_checkpoint, refused
from sequentia.errors import UserError, cause_of
from sequentia.files import remove_leftovers, sha256
from sequentia.loading import architecture_of, build_model, load
from sequentia.models import LanguageModel
from sequentia.models.counting import counts
from sequentia.quality import check_evaluates
from sequentia.runs import (
    CONFIG,
    ROOT,
    create_run,
    find_checkpoint,
    locked,
    read_config,
    recorded_options,
    remove_if_never_begun,
    run_to_fit,
)
from sequentia.training import results, slurm
from sequentia.training.budget import Trial, length_within, parse_time
from sequentia.training.checkpointing import AtomicCheckpointIO, RunCheckpoint
from sequentia.training.checks import check_options
from sequentia.training.curves import Curves
from sequentia.training.defaults import LogLength, best_steps, epoch_length, set_length, steps_between_validations
from sequentia.training.distributed import check_launcher, processes
from sequentia.training.finetuning import HIDDEN_LR_FACTOR, initialize
from sequentia.training.messages import closing_message, instantiation_message
from sequentia.training.metrics_file import MetricsFile
from sequentia.training.options import Given, as_list, base_options, restricted
from sequentia.training.overview import Overview
from sequentia.training.pictures import Pictures
from sequentia.training.progress import RunProgress
from sequentia.training.resume import LEAK, ExactResume, changes, check_fits, check_unfinished, has_changed, obstacle
from sequentia.training.state import check_training_state
from sequentia.training.stopping import Interrupted, StopOnSignal, StopWhenDiverged
from sequentia.training.tensorboard import DropOrphans, RunTensorBoard
from sequentia.training.validation import Accuracy, LogBaselines, Samples
from sequentia.trust import foreign_classes, import_trusted, search_working_directory

log = logging.getLogger("sequentia")


class TrainingCLI(LightningCLI):
    """LightningCLI whose runs are saved to `checkpoints/<config stem>/version_N`.

    Args:
        held: Closed when the command ends; it holds the lock of the run.
        subcommand: `fit`, `validate` or `test`. Only its parser is built, because each takes a few tenths of a second.
        started: When the command started, by `time.monotonic`.
        trust: Modules that a checkpoint and a run's own config.yaml may name.
    """

    model: LanguageModel
    init_from: tuple[Path, LanguageModel] | None = None  # the checkpoint that a new run starts from, and its model
    initialized = ""  # what of it was copied
    digest = ""  # SHA-256 of the checkpoint that is evaluated

    def __init__(
        self, held: ExitStack, subcommand: str, started: float, trust: Sequence[str], *args: Any, **kwargs: Any
    ) -> None:
        self.held, self.subcommand, self.started, self.trust = held, subcommand, started, trust
        super().__init__(*args, **kwargs)

    def subcommands(self) -> dict[str, set[str]]:
        """The subcommand, and the arguments of the trainer's method that are not options."""
        loaders = {"train_dataloaders", "val_dataloaders"} if self.subcommand == "fit" else {"dataloaders"}
        return {self.subcommand: {"model", "datamodule", "weights_only", "verbose", *loaders}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the groups `checkpoint`, `optimizer` and `lr_scheduler`, and pass vocabulary and length to the model."""
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
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
        if self.subcommand != "fit":
            results.add_arguments(parser)
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

        `ckpt_path` is taken out of the configuration: Lightning would silently override the command line with the
        checkpoint's hyperparameters, and a run would resume because its config.yaml says so.

        Raises:
            UserError: `--ckpt_path` names no run or checkpoint, or one that is refused; the run's config.yaml cannot be
                used; or `--init_from` is given where no new run starts.
        """
        self.arguments = [str(argument) for argument in args[1:]]
        self.given = Given(args[1:])
        if self.given.local_classes:
            search_working_directory()
        self.run: Path | None = None
        self.checkpoint: Path | None = None
        self.recorded: dict[str, Any] | None = None
        self.loaded: dict[str, Any] | None = None  # the content of the checkpoint
        command = self.subcommand
        if any(str(argument).split("=")[0] == "--init_from" for argument in args):
            if command != "fit":
                raise UserError(f"{command} evaluates a checkpoint: give --ckpt_path, not --init_from")
            if self.given.ckpt_path is not None:
                raise UserError(
                    f"--init_from starts a new run, but --ckpt_path {self.given.ckpt_path} resumes one with its own "
                    "weights: omit one of the two"
                )
        if not self.given.help:
            self._find_run(command)
        architecture = None
        if self.checkpoint is not None:
            if command != "fit":
                self.digest = sha256(self.checkpoint)  # before it is read: it can be replaced at any time
            self.loaded = read_checkpoint(self.checkpoint)
            architecture = architecture_of(self.loaded, self.checkpoint, self.trust)
            if command == "fit":
                check_training_state(self.loaded, self.checkpoint)
        self.base = base_options(command, self.recorded, architecture)
        with NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            yaml.safe_dump(self.base, file)
            file.flush()
            arguments = [command, f"--config={file.name}", *args[1:]] if self.base else args
            try:
                self.config = parser.parse_args(arguments)  # Lightning's own method warns if args are not sys.argv's
            except (UnicodeDecodeError, RecursionError) as error:
                raise UserError("a --config is not text, or nested too deeply: give a YAML file in UTF-8") from error
            except ArgumentError:
                for name in self.given.local_classes:
                    import_trusted(name, [name])  # says what is wrong with the user's code, which the parser does not
                raise
            except ImportError as error:  # fsspec reads s3://bucket/x only with s3fs
                raise UserError(f"an option needs a package that is not installed: {error}") from error
        options = self.options
        if options.ckpt_path is not None and self.given.ckpt_path is None:
            raise UserError("ckpt_path is set in a --config that is no regular file: give --ckpt_path instead")
        options.ckpt_path = None
        check_options(options)

    def _find_run(self, command: str) -> None:
        root = self.given.root or ROOT
        if command == "fit":
            given = self.given.ckpt_path
            if given is None and (requeued := slurm.requeued_run(root, self.arguments)):
                log.info(f"SLURM has restarted this job: resuming its run {requeued}")
                given = str(requeued)
            self.run, self.checkpoint = run_to_fit(given, root)
        else:
            self.checkpoint = find_checkpoint(self.given.ckpt_path, root)
        directory = self.run if self.checkpoint is None else self.checkpoint.parent
        if directory is not None and (directory / CONFIG).is_file():
            given = self.given.trusts(directory)
            self.recorded = read_config(directory) if given else recorded_options(directory, self.trust)
        elif self.checkpoint is not None and not self.given.sets_data:
            raise UserError(f"no {CONFIG} beside {self.checkpoint}, which would name its data: give --data.path")

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
        """Complete the options, and lock the run, before anything slow is done."""
        options = self.options
        if options.trainer.default_root_dir is None:
            options.trainer.default_root_dir = str(self.given.default_root(options.model.class_path))
        if options.trainer.accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
            if options.trainer.accelerator != "auto":
                raise UserError(
                    "Apple's GPU has no float64, in which metrics are summed: set --trainer.accelerator cpu"
                )
            options.trainer.accelerator = "cpu"
        with _plain_errors():
            check_launcher(options.trainer)
        for name, remedy in _FIXED.items():
            if options.checkpoint[name] is not None:
                raise UserError(f"checkpoint.{name} cannot be set: {remedy}")
        # Otherwise the option only records what the run was initialized from.
        if self.subcommand == "fit" and options.init_from is not None and self.checkpoint is None:
            path = find_checkpoint(options.init_from)
            self.init_from = path, load(path, trust=self.trust)
        if self.run is not None:
            self._lock(self.run)

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
        """The trainer, with the callbacks and the logger of a run."""
        config = self.instances["trainer"]
        if config["max_time"] is not None:
            config["max_time"] = parse_time(str(config["max_time"]))
        curves = Curves(vitals=self.instances["extra_metrics"])
        samples = Samples()
        callbacks: list[Callback] = [curves]
        given = as_list(config["callbacks"])
        for callback in given:
            if isinstance(callback, tuple(_UNSUPPORTED)):
                remedy = next(text for cls, text in _UNSUPPORTED.items() if isinstance(callback, cls))
                raise UserError(f"{type(callback).__name__} cannot be used: {remedy}")
            if isinstance(callback, WeightAveraging) and counts(self.model):
                raise UserError(f"{type(callback).__name__} would average counts: omit it, or give another --model")
        if config["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in given):
            callbacks.append(RunProgress(curves, samples))
        if self.subcommand == "fit":
            self._set_optimizer()
            self.saver = self.instances["checkpoint"]
            with _plain_errors():
                unset = config.clone() if self._max_time_is_the_length() else None
                set_length(config, self.datamodule, self._validates_each_epoch())
                if unset is not None:
                    self._set_length_to_max_time(unset)
            for name in ("max_steps", "val_check_interval", "check_val_every_n_epoch", "log_every_n_steps"):
                self.options["trainer"][name] = config[name]  # recorded in config.yaml
            if self.loaded is not None:
                check_unfinished(config, self.loaded, str(self.checkpoint), self.model.single_epoch)
            if self.run is None:  # created this late because by now options and data are known to be valid
                root = Path(config["default_root_dir"])
                self.run = create_run(root) if rank_zero_only.rank == 0 else root
                self._lock(self.run)
            self.saver.dirpath = str(self.run.resolve())
            self.save_config_kwargs["run"] = self.run
            environment = slurm.environment()
            callbacks += [LogLength(), *self._run_callbacks(self.saver, samples)]
            if self.instances["extra_metrics"]:
                callbacks += [LogBaselines(), Pictures(), Overview(self.run, self.options.compile)]
            (self.resume,) = (callback for callback in callbacks if isinstance(callback, ExactResume))
            if environment is not None:
                callbacks.append(slurm.RecordJob(self.run, self.arguments))
            plugins = [plugin for plugin in (AtomicCheckpointIO(), environment) if plugin is not None]
            kwargs["plugins"] = [*as_list(config["plugins"]), *plugins]
            loggers = as_list(config["logger"] or None)
            if config["logger"] in (None, True):
                step = 0 if self.loaded is None else int(self.loaded["global_step"])
                loggers = [
                    RunTensorBoard(
                        self.run.parent, name="", version=self.run.name, default_hp_metric=False, purge_step=step
                    )
                ]
            kwargs["logger"] = [*loggers, MetricsFile(self.run)]
        else:
            kwargs |= {"logger": False, "check_val_every_n_epoch": 1}
            own_data = results.is_own_data(self.datamodule, self.loaded or {}, self.recorded)
            options = self.instances["valid"], self.instances["format"]
            self.results = results.Results(self.subcommand, own_data, *options)
            callbacks.append(self.results)
        self.trainer_defaults["callbacks"] = callbacks
        with _plain_errors():
            return super().instantiate_trainer(**kwargs)

    def _run_callbacks(self, saver: RunCheckpoint, samples: Samples) -> list[Callback]:
        """What surrounds the steps of every run."""
        return [
            StopWhenDiverged(saver),
            ExactResume(int(self.instances["seed_everything"])),
            DropOrphans(),
            StopOnSignal(saver, slurm.SIGNALS if slurm.environment() else None),
            *((Accuracy(), samples) if self.instances["extra_metrics"] else ()),
        ]

    def _trial_callbacks(self, saver: RunCheckpoint) -> list[Callback]:
        """What surrounds the steps of a trial."""
        return [Curves(vitals=self.instances["extra_metrics"]), *self._run_callbacks(saver, Samples())]

    def _max_time_is_the_length(self) -> bool:
        """Whether `trainer.max_time` decides the length of the run, and does not only stop it.

        Raises:
            UserError: It does, in several processes.
        """
        config = self.instances["trainer"]
        limited = config["max_steps"] != -1 or config["max_epochs"] not in (None, -1)
        if config["max_time"] is None or limited or config["fast_dev_run"]:
            return False
        if self.loaded is not None or self.model.single_epoch:
            return False
        if processes(config) > 1:
            raise UserError(
                "trainer.max_time decides the length of a run in one process only: give --trainer.max_steps too, and "
                "max_time stops the run if it takes longer"
            )
        return True

    def _set_length_to_max_time(self, unset: Namespace) -> None:
        """Replace `trainer.max_time` by the number of steps that fit.

        Args:
            unset: The options of the Trainer before they were completed.
        """
        config, data = self.instances["trainer"], self.datamodule

        def completed(steps: int) -> Namespace:
            options = unset.clone()
            options.max_steps, options.max_time = steps, None
            set_length(options, data, self._validates_each_epoch())
            return options

        drawn = self.instances["extra_metrics"] and config["logger"] in (None, True)
        trial = Trial(self.model, data, config, self.saver, self._trial_callbacks, self.options.compile, drawn)
        steps = length_within(
            config["max_time"], self.started, trial, lambda steps: steps_between_validations(completed(steps), data)
        )
        self.options["trainer"]["max_time"] = None
        if steps is None:
            config["max_time"] = None
            return
        best = best_steps(data.train_characters, epoch_length(config, data)[1])
        allowed = f"trainer.max_time {config['max_time']} allows {steps:,} steps"
        if steps > best:
            log.info(
                f"{allowed}; more than {best:,} would overfit {len(data.split.train):,} lines: --trainer.max_steps "
                "overrides"
            )
        else:
            log.info(f"{allowed} on this machine; the run keeps this length when it is resumed")
        config.update(completed(min(steps, best)))

    def _lock(self, run: Path) -> None:
        """Keep other processes from writing to the run."""
        if rank_zero_only.rank == 0:
            self.held.callback(remove_if_never_begun, run)
            self.held.enter_context(locked(run))
            remove_leftovers(run)

    def _set_optimizer(self) -> None:
        optimizer, schedule = self.instances["optimizer"], self.instances["lr_scheduler"]
        if self.options.init_from is not None:  # also when such a run is resumed
            self.model.hidden_lr_factor = HIDDEN_LR_FACTOR
        self.model.lr_scheduler_interval = self.instances["lr_scheduler_interval"]
        if optimizer:
            self.model.optimizer = partial(resolve_name(optimizer.class_path), **_init_args(optimizer))
        self.model.lr_scheduler = (
            partial(resolve_name(schedule.class_path), **_init_args(schedule)) if schedule else None
        )

    def _validates_each_epoch(self) -> bool:
        """Whether the schedule reads a metric after each epoch, or the model is complete only then."""
        schedule = self.instances["lr_scheduler"]
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
        return self.model.single_epoch or (bool(schedule) and issubclass(resolve_name(schedule.class_path), plateau))

    def after_instantiate_classes(self) -> None:
        """Check the checkpoint against the options (fit) or evaluate its model (validate, test); compile if asked."""
        if self.checkpoint is not None and self.loaded is not None:
            # Also before fit: refuse what sampling would refuse.
            stored = build_model(self.loaded, self.checkpoint, self.trust)
            if has_changed(self.datamodule, self.loaded) and not self._data_is_given():
                message = f"{self.datamodule.shown_path} has changed since {self.checkpoint.parent} was started"
                if self.subcommand == "fit":
                    raise UserError(f"{message}: restore it, or train on the new lines with --data.path")
                log.warning(f"{message}: the metrics are of its current lines")
            if self.subcommand == "fit":
                check_fits(self.model, self.loaded)
            else:
                self.model = stored
                check_evaluates(stored, self.datamodule, "val" if self.subcommand == "validate" else "test")
        if self.init_from is not None:
            path, trained = self.init_from
            self.initialized = initialize(self.model, trained, path)
        if self.options.compile:
            self.model.compile(dynamic=True)  # in place: unlike torch.compile, it keeps the names of the weights

    def _data_is_given(self) -> bool:
        """Whether the user's arguments or configs name the data, or change an option of it."""
        recorded = (self.recorded or {}).get("data")
        return self.given.sets_data or recorded != self.plain_options["data"]

    def before_validate(self) -> None:
        """Log what is evaluated."""
        self._log_evaluated()

    def before_test(self) -> None:
        """Log what is evaluated."""
        self._log_evaluated()

    def validate(self, **kwargs: Any) -> None:
        """Evaluate, and print the result in place of Lightning."""
        self.trainer.validate(**kwargs, verbose=False)

    def test(self, **kwargs: Any) -> None:
        """Evaluate, and print the result in place of Lightning."""
        self.trainer.test(**kwargs, verbose=False)

    def after_validate(self) -> None:
        """Print and record the result."""
        self._finish()

    def after_test(self) -> None:
        """Print and record the result."""
        self._finish()

    def _finish(self) -> None:
        if self.checkpoint is None or self.loaded is None:
            return
        if not self.results.values:
            raise refused(self.checkpoint, "its weights give probabilities that are NaN")
        if self.trainer.is_global_zero:
            print(self.results.text())
            precision = self.plain_options["trainer"]["precision"]
            changed = None if self.base["trainer"].get("precision") == precision else "trainer.precision"
            self.results.record(self.checkpoint, self.digest, self.loaded["global_step"], changed)

    def _log_evaluated(self) -> None:
        if self.trainer.is_global_zero:
            log.info(f"evaluating {self.checkpoint} on {self.datamodule.shown_path}")
            self._log_changes()

    def _log_changes(self) -> None:
        """Log each option that overrides what the run recorded."""
        now = self.plain_options
        if self.subcommand != "fit":
            now = restricted(now, self.base | {"model": {}})  # the model is the checkpoint's
        for change in changes(self.base, now):
            log.info(f"  {change}")

    def before_fit(self) -> None:
        """Log where the run is saved, and what has changed since it was started.

        Raises:
            UserError: The run cannot be resumed.
        """
        reason = obstacle(self.trainer)
        if reason is not None and self.checkpoint is not None:
            raise UserError(
                f"cannot resume {self.checkpoint}: {reason}; start a new run from its weights with --init_from"
            )
        if not self.trainer.is_global_zero:
            return
        if self.checkpoint is None or self.loaded is None:
            log.info(f"starting run {self.run}: {self.model.describe()}")
            if self.initialized:
                log.info(self.initialized)
            if reason is not None:
                log.warning(f"this run cannot be resumed: {reason}")
            return
        log.info(f"resuming {self.checkpoint} at step {self.loaded['global_step']}")
        if self.recorded is not None:
            self._log_changes()
        schedule = self.options["lr_scheduler"]
        extended = self.base.get("trainer", {}).get("max_steps") != self.options["trainer"]["max_steps"]
        uses_gradients = self.model.automatic_optimization
        uses_schedule = schedule and uses_gradients
        if extended and uses_schedule and "total_steps" in signature(resolve_name(schedule.class_path)).parameters:
            log.info("  the learning-rate schedule follows the new length")
        if has_changed(self.datamodule, self.loaded):
            log.info(f"  the lines of {self.datamodule.shown_path} changed: {LEAK}")
            if uses_gradients and counts(self.model):
                log.info("  what was counted on the old lines stays")

    def fit(self, **kwargs: Any) -> None:
        """Train. LightningCLI calls this in place of `Trainer.fit`.

        Raises:
            UserError: The training state of the checkpoint is damaged or does not fit the options.
            Interrupted: A signal stopped the run.
        """
        kwargs |= {"ckpt_path": self.checkpoint, "weights_only": True}
        try:
            self.trainer.fit(**kwargs)
        except Interrupted as stop:
            self._log_closing()
            if stop.signum == slurm.REQUEUE and self.trainer.is_global_zero:
                slurm.requeue()
            raise
        except (UserError, OSError, MisconfigurationException, torch.OutOfMemoryError):
            raise
        except ImportError as error:
            raise UserError(f"a trainer option needs a package that is not installed: {error}") from error
        except Exception as error:
            if self.checkpoint is None or self.resume.under_way:
                raise
            raise UserError(
                f"cannot resume {self.checkpoint}: its training state is damaged or does not fit these options "
                f"({type(error).__name__}: {str(error)[:150]}); start a new run, or give another --ckpt_path"
            ) from error
        self._log_closing()

    def _log_closing(self) -> None:
        if self.trainer.is_global_zero and self.run is not None:
            timed = self.options.trainer.max_time is not None
            modules = dict.fromkeys(name.rpartition(".")[0] for name in foreign_classes(self.plain_options))
            trust = "".join(f" --trust {module}" for module in modules)
            log.info(closing_message(self.run, self.trainer, self.saver, timed, trust))


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"invalid or conflicting trainer options: {error}") from error
    except ImportError as error:
        raise UserError(f"a trainer option needs a package that is not installed: {error}") from error


_UNSUPPORTED: dict[type[Callback], str] = {
    LearningRateFinder: "the schedule would overwrite its rate; compare values of --optimizer.lr in short runs",
    BatchSizeFinder: "the batch size also decides how well a model learns; set --data.batch_size",
}

_FIXED = {
    "dirpath": "checkpoints are saved in the run directory; set --trainer.default_root_dir",
    "save_on_train_epoch_end": "checkpoints are written between two steps; set --checkpoint.every_n_train_steps",
}
"""Options of ModelCheckpoint that would have no effect."""


def _init_args(config: Namespace) -> dict[str, Any]:
    return dict(config.get("init_args") or {})
