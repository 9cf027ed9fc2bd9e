"""Resuming is exact with most optimizers, schedules and callbacks; the others say so."""

import shlex

import pytest

from sequentia.runs.checkpoint import read_checkpoint
from tests.training.runs import COMMON, CONFIGS, ForkServer, Uninterrupted, same_runs, the_run

TRANSFORMER = (
    f"--config {CONFIGS}/transformer.yaml {COMMON} --trainer.limit_train_batches 5 --trainer.max_epochs 4 "
    "--checkpoint.every_n_train_steps 2"
)
BIGRAM = (
    "--model Bigram --data.path lines.txt --data.batch_size 16 --trainer.accelerator cpu --trainer.log_every_n_steps 1 "
    "--trainer.max_steps 24 --checkpoint.every_n_train_steps 2 --trainer.default_root_dir checkpoints/transformer"
)
AVERAGE = "--trainer.callbacks+=EMAWeightAveraging --trainer.callbacks.decay 0.8"
LBFGS = f"{BIGRAM} --optimizer LBFGS --optimizer.lr 0.1"

OPTIMIZERS = {
    **{f"{name}": "" for name in ("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "NAdam")},
    **{"RAdam": "", "RMSprop": "--optimizer.momentum 0.9", "Rprop": "", "SGD": "--optimizer.momentum 0.9"},
}
"""Optimizers of PyTorch that can train a Bigram."""

SCHEDULES = {
    "ConstantLR": "--lr_scheduler.total_iters 3",
    "CosineAnnealingLR": "--lr_scheduler.T_max 4",
    "CosineAnnealingWarmRestarts": "--lr_scheduler.T_0 2",
    "CyclicLR": "--lr_scheduler.base_lr 0.001 --lr_scheduler.max_lr 0.01 --lr_scheduler.step_size_up 2 "
    "--lr_scheduler.cycle_momentum false",
    "ExponentialLR": "--lr_scheduler.gamma 0.5",
    "LinearLR": "--lr_scheduler.total_iters 3",
    "MultiStepLR": "--lr_scheduler.milestones [1,3]",
    "OneCycleLR": "--lr_scheduler.max_lr 0.01",
    "PolynomialLR": "--lr_scheduler.total_iters 4",
    "StepLR": "--lr_scheduler.step_size 2",
}
"""Schedules of PyTorch that take plain options."""

MEMBERS = "[{architecture: Transformer, n_embd: 16, n_layer: 1, n_head: 2, dropout: 0.1}, {architecture: NGram}]"
MIXTURE = (
    f"--config {CONFIGS}/mixture.yaml --model.members '{MEMBERS}' --data.path lines.txt --data.batch_size 16 "
    "--trainer.accelerator cpu --trainer.log_every_n_steps 1 --trainer.max_steps 20 --trainer.val_check_interval 4 "
    "--checkpoint.every_n_train_steps 2 --trainer.default_root_dir checkpoints/transformer"
)

CASES = {
    "average": f"{TRANSFORMER} {AVERAGE}",
    "LBFGS": LBFGS,
    "mixture": MIXTURE,
}
SLOW_CASES = {
    "early stopping": f"{TRANSFORMER} --trainer.callbacks EarlyStopping --trainer.callbacks.monitor val/loss "
    "--trainer.callbacks.min_delta 0.2 --trainer.callbacks.patience 3",
    **{name: f"{BIGRAM} --optimizer {name} {options}" for name, options in OPTIMIZERS.items()},
    **{name: f"{BIGRAM} --optimizer AdamW --lr_scheduler {name} {options}" for name, options in SCHEDULES.items()},
}


@pytest.mark.parametrize("case", [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW_CASES)])
@pytest.mark.parametrize("count", [9, pytest.param(13, marks=pytest.mark.slow)])
def test_a_killed_run_resumes_bit_identically(
    fit: ForkServer, uninterrupted: Uninterrupted, case: str, count: int
) -> None:
    """The kill comes in the middle of an epoch, after a checkpoint that may follow the epoch's validation."""
    arguments = ["fit", *shlex.split((CASES | SLOW_CASES)[case])]
    whole, killed = (uninterrupted.workdir(f"{case} {count} {kind}") for kind in ("whole", "killed"))
    assert fit(whole, arguments) == 0, (whole / "log").read_text()
    assert fit(killed, arguments, {"call": "on_train_batch_end", "count": count}) == -9
    assert 0 < read_checkpoint(the_run(killed) / "last.ckpt")["global_step"] < count
    assert fit(killed, ["fit", "--ckpt_path", "last"]) == 0, (killed / "log").read_text()
    same_runs(the_run(killed), the_run(whole))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            "--trainer.callbacks GradientAccumulationScheduler --trainer.callbacks.scheduling '{0: 2, 1: 1, 2: 3}'",
            "GradientAccumulationScheduler loses the number of accumulated batches until the next epoch starts",
        ),
        (
            "--lr_scheduler ReduceLROnPlateau --lr_scheduler.monitor val/loss",
            "ReduceLROnPlateau loses a validation of the epoch in which the run stopped",
        ),
    ],
)
def test_a_run_that_does_not_resume_exactly_says_so_at_each_start(
    fit: ForkServer, uninterrupted: Uninterrupted, options: str, reason: str
) -> None:
    cwd = uninterrupted.workdir(reason)
    arguments = ["fit", *shlex.split(f"{TRANSFORMER} {options}")]
    assert fit(cwd, arguments, {"call": "on_train_batch_end", "count": 9}) == -9
    assert fit(cwd, ["fit", "--ckpt_path", "last"]) == 0, (cwd / "log").read_text()
    line = f"a resumed run is not bit-identical to an uninterrupted one: {reason}\n"
    assert (cwd / "log").read_text().count(line) == 2
