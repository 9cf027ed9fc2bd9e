"""Private and undocumented names of other libraries that the package or its tests rely on, each with its use.

lightning is capped below 2.7 because of them. When a new version of a library changes one, a test here fails and says
where to look.
"""

import ast
import inspect
import sys
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.trainer import call

from sequentia.data import CharDataModule
from sequentia.models import Bigram

PACKAGE = Path(__file__).parents[2] / "sequentia"

PRIVATE = {"_actions", "_batches_that_stepped", "_common", "_ipython_display_"}
"""Private attributes of other libraries in the package: all that is not documented below is public.

`ArgumentParser._actions` are the options that completion.py marks as files; shtab itself reads them.
`jsonargparse._common` holds the settings that runs/trust.py restores; tests/runs/test_trust.py fails without it.
`_ipython_display_` is IPython's protocol for objects that display themselves; see tests/reporting/test_notebook.py.
"""

ATTRIBUTES = {
    "fit_loop.epoch_loop._batches_that_stepped": "resume.py: a resumed run would log at shifted steps",
    "fit_loop.epoch_loop.batch_progress.total.ready": "resume.py: the number by which a step is seeded",
    "fit_loop.epoch_loop.batch_progress.current.completed": "data/module.py: the batch at which a resumed epoch starts",
    "fit_loop.epoch_progress.current.processed": "data/module.py: the epoch whose order of lines is used",
    "fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_ready": "counting.py: counts a step",
    "fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_completed": "counting.py: counts a step",
    "received_sigterm": "stopping.py: a signal before the first step would be lost",
    "lr_scheduler_configs": "resume.py: changed options of a schedule would be ignored",
    "enable_validation": "checkpointing.py: best.ckpt would be missing if nothing is held out",
}
"""Attributes of a Trainer, and where they are used for what."""


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_steps=3,
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_trainer_has_the_attributes_that_are_used(trainer: Trainer, name: str) -> None:
    assert attrgetter(name)(trainer) is not None, ATTRIBUTES[name]


@pytest.mark.parametrize(
    ("function", "parameters", "used"),
    [
        (
            SingleDeviceStrategy.reduce_boolean_decision,
            ["self", "decision", "all"],
            "processes.py",
        ),
        (
            DDPStrategy.reduce_boolean_decision,
            ["self", "decision", "all"],
            "processes.py",
        ),
        (DDPStrategy.configure_ddp, ["self"], "counting.py replaces it: it refuses a model without gradients"),
        (ModelCheckpoint.on_validation_end, ["self", "trainer", "pl_module"], "checkpointing.py: writes best.ckpt"),
        (
            call._call_callback_hooks,
            ["trainer", "hook_name", "args", "monitoring_callbacks", "kwargs"],
            "fork_server.py: where a process is killed",
        ),
    ],
)
def test_functions_have_the_parameters_that_are_used(
    function: Callable[..., Any], parameters: list[str], used: str
) -> None:
    assert list(inspect.signature(function).parameters) == parameters, used


def test_lightning_cli_calls_a_method_named_after_the_subcommand(monkeypatch: pytest.MonkeyPatch) -> None:
    """training/cli.py: `SequentiaCLI.fit` replaces `Trainer.fit`; otherwise a run would not resume."""
    called: list[set[str]] = []

    class CLI(LightningCLI):
        def fit(self, **kwargs: Any) -> None:
            called.append(set(kwargs))

    options = [
        "--model.vocabulary=ab",
        "--model.context_length=3",
        "--trainer.accelerator=cpu",
        "--trainer.logger=false",
    ]
    monkeypatch.setattr(sys, "argv", ["sequentia", "fit", *options])
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # caused by Lightning
    CLI(Bigram, CharDataModule, save_config_callback=None, seed_everything_default=0)
    assert called == [{"model", "datamodule", "ckpt_path", "weights_only"}]


@pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero")  # no line is held out
def test_checkpoints_have_the_progress_that_exact_resume_rewrites(trainer: Trainer, tmp_path: Path) -> None:
    """resume.py: `ExactResume.on_save_checkpoint`."""
    (tmp_path / "lines.txt").write_text("ab\nba\naab\nb\n")
    data = CharDataModule(str(tmp_path / "lines.txt"), batch_size=2, val_fraction=0, test_fraction=0)
    trainer.fit(Bigram(data.vocabulary.characters, data.context_length), data)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    fit = torch.load(tmp_path / "a.ckpt", weights_only=True)["loops"]["fit_loop"]
    counters = {"ready", "started", "processed", "completed"}
    for name in ("epoch_loop.batch_progress", "epoch_progress", "epoch_loop.val_loop.batch_progress"):
        assert set(fit[name]["total"]) == set(fit[name]["current"]) == counters, name
    for name in ("epoch_loop.batch_progress", "epoch_loop.val_loop.batch_progress"):
        assert "is_last_batch" in fit[name], name
    optimizer = fit["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
    for progress in (fit["epoch_loop.scheduler_progress"], optimizer["step"], optimizer["zero_grad"]):
        assert "current" in progress
    assert fit["epoch_loop.state_dict"] == {"_batches_that_stepped": 3}
    # Three steps: one epoch of two batches, and one batch of the next epoch.
    assert fit["epoch_loop.batch_progress"]["total"]["processed"] == 3
    assert fit["epoch_loop.batch_progress"]["current"]["processed"] == 1


def test_model_checkpoint_has_the_state_that_is_restored() -> None:
    """checkpointing.py: `BestCheckpoint.load_state_dict`."""
    state = {"monitor", "best_model_score", "best_model_path", "current_score", "best_k_models", "last_model_path"}
    assert state | {"kth_best_model_path", "kth_value"} <= set(ModelCheckpoint().state_dict())


def test_no_other_private_name_of_another_library_is_used() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    ours = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    ours |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    ours |= {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    modules = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    used |= {part for module in modules for part in module.split(".")}
    private = {name for name in used if name.startswith("_") and not name.startswith("__")}
    assert private - ours == PRIVATE
