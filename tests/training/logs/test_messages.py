"""What a run prints when it ends: its result, why it stopped, and commands that work."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from sequentia.cli import main
from sequentia.runs.checkpoint import read_checkpoint
from tests.training.runs import CONFIGS, LINES

Fit = Callable[..., list[str]]

RUN = "checkpoints/bigram/version_0"
SAMPLE = f"  sample   sequentia sample --ckpt_path {RUN}"
CURVES = "  curves   tensorboard --logdir checkpoints"
RESUME = f"  resume   sequentia fit --ckpt_path {RUN}"
EARLY = "--trainer.callbacks=EarlyStopping --trainer.callbacks.monitor=val/loss"


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fit:
    """Run `sequentia fit` with a config and options on LINES in an empty directory; returns the lines on stderr."""
    monkeypatch.chdir(tmp_path)
    Path("lines.txt").write_text("\n".join(LINES))

    def fit(config: str, options: str = "") -> list[str]:
        given = "--data.path=lines.txt --data.batch_size=16 --trainer.accelerator=cpu"
        assert main(["fit", f"--config={CONFIGS}/{config}.yaml", *given.split(), *options.split()]) == 0
        return capsys.readouterr().err.splitlines()

    return fit


def resume(lines: list[str]) -> int:
    """Run the command of the line `resume`; returns the step at which the resumed run ended."""
    (command,) = (line for line in lines if line.startswith("  resume "))
    arguments = shlex.split(command)[2:]
    assert main(arguments) == 0
    return int(read_checkpoint(Path(arguments[2], "last.ckpt"))["global_step"])


def test_a_complete_run_prints_its_result_and_what_to_do_next(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.max_steps=5")
    nll = lines[-5].removeprefix("step 5  ").split("val/loss ")[1].split()[0]
    result = f"run {RUN}: step 5, best validation NLL {nll} nats per character"
    assert lines[-4:] == [result, SAMPLE, CURVES, f"{RESUME} --trainer.max_steps 10"]
    assert resume(lines) == 10


def test_a_best_score_is_named_after_its_metric(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.max_steps=5 --checkpoint.monitor=val/perplexity")
    (result,) = (line for line in lines if line.startswith("run "))
    assert result.startswith(f"run {RUN}: step 5, best val/perplexity ")


def test_early_stopping_says_why_and_where(fit: Fit) -> None:
    options = "--optimizer.lr=0 --trainer.max_steps=50 --trainer.val_check_interval=3 --trainer.callbacks.patience=2"
    lines = fit("bigram", f"{EARLY} {options}")
    assert lines[-5:] == [
        "stopped early at step 9 of 50: monitored metric val/loss did not improve in the last 2 records. Best score: "
        "2.773",
        f"run {RUN}: step 9, best validation NLL 2.7726 nats per character",
        SAMPLE,
        CURVES,
        RESUME,
    ]
    assert resume(lines) == 12


def test_a_run_that_early_stopping_ends_at_its_last_step_did_not_stop_early(fit: Fit) -> None:
    options = "--optimizer.lr=0 --trainer.max_steps=9 --trainer.val_check_interval=3 --trainer.callbacks.patience=2"
    lines = fit("bigram", f"{EARLY} {options}")
    assert not [line for line in lines if line.startswith("stopped early")]
    assert lines[-1] == f"{RESUME} --trainer.max_steps 18"


def test_a_time_limit_says_so_and_the_resumed_run_gets_a_longer_one(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.max_steps=10000000 --trainer.max_time=00:00:00:01")
    step = int(lines[-4].split()[3].rstrip(","))
    assert lines[-5] == f"stopped early at step {step} of 10000000: the time limit of 0:00:01 is reached"
    assert re.fullmatch(f"{RESUME} --trainer.max_time 00:00:00:\\d\\d", lines[-1])
    assert resume(lines) > step


def test_a_timer_among_the_callbacks_offers_no_command_that_would_stop_at_once(fit: Fit) -> None:
    timer = "--trainer.callbacks=Timer --trainer.callbacks.duration=00:00:00:01 --trainer.max_steps=10000000"
    lines = fit("bigram", timer)
    assert lines[-4].endswith(" of 10000000: the time limit of 0:00:01 is reached")
    assert lines[-2:] == [SAMPLE, CURVES]


@pytest.mark.parametrize("options", ["", "--trainer.max_epochs=3", "--trainer.max_epochs=-1"])
def test_a_counted_table_is_complete_after_one_epoch(fit: Fit, options: str) -> None:
    lines = fit("bigram_counts", options)
    run = RUN.replace("bigram", "bigram_counts")
    assert "training for 13 steps (1 epoch)" in lines
    nll = lines[-4].split("val/loss ")[1].split()[0]
    assert lines[-3:] == [
        f"run {run}: step 13, best validation NLL {nll} nats per character",
        SAMPLE.replace("bigram", "bigram_counts"),
        CURVES,
    ]


def test_an_incomplete_count_can_be_resumed(fit: Fit) -> None:
    lines = fit("bigram_counts", "--trainer.max_steps=4")
    assert lines[-1].endswith(" --trainer.max_steps 8")
    assert resume(lines) == 8


@pytest.mark.parametrize(
    ("logger", "curves"),
    [
        ("--trainer.logger=False", f"{RUN}/metrics.csv"),
        (
            "--trainer.logger=TensorBoardLogger --trainer.logger.save_dir=logs --trainer.logger.name=mine",
            "tensorboard --logdir logs/mine",
        ),
    ],
)
def test_curves_are_offered_only_where_they_are(fit: Fit, logger: str, curves: str) -> None:
    lines = fit("bigram", f"--trainer.max_steps=5 {logger}")
    assert lines[-3:] == [SAMPLE, f"  curves   {curves}", f"{RESUME} --trainer.max_steps 10"]


def test_a_given_root_is_the_directory_of_its_curves(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.max_steps=5 --trainer.default_root_dir=my/root")
    assert lines[-3:-1] == ["  sample   sequentia sample --ckpt_path my/root/version_0", CURVES[:-11] + "my/root"]


def test_without_held_out_lines_the_training_loss_is_printed(fit: Fit) -> None:
    options = "--data.val_fraction=0 --data.test_fraction=0 --trainer.max_steps=50 --trainer.log_every_n_steps=1"
    lines = fit("bigram", options)
    steps = [line.split("  train/loss ") for line in lines if line.startswith("step ")]
    assert [step for step, _ in steps] == [f"step {i}" for i in range(6, 50, 6)]
    losses = [float(loss) for _, loss in steps]
    assert losses[-1] < losses[0] < 2.7726
    (result,) = (line for line in lines if line.startswith("run "))
    assert result.startswith(f"run {RUN}: step 50, training NLL ")
    last = read_checkpoint(Path(RUN, "last.ckpt"))["global_step"]
    assert last == 50


@pytest.mark.parametrize("accumulated", [1, 3])
def test_the_training_loss_is_the_one_in_tensorboard(fit: Fit, accumulated: int) -> None:
    from tests.training.runs import curves

    options = "--data.val_fraction=0 --data.test_fraction=0 --trainer.max_steps=5 --trainer.log_every_n_steps=1"
    lines = fit("bigram", f"{options} --trainer.accumulate_grad_batches={accumulated}")
    (result,) = (line for line in lines if line.startswith("run "))
    loss = curves(Path(RUN))["train/loss"][-1][1]
    assert result == f"run {RUN}: step 5, training NLL {loss:.4f} nats per character"


def test_a_trial_run_says_that_nothing_was_saved(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.fast_dev_run=3")
    assert lines[-1] == "trial run complete at step 3: nothing was saved"
    assert not list(Path("checkpoints").rglob("*.*"))


def test_a_run_that_saves_nothing_offers_nothing_to_sample_or_resume(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.max_steps=5 --checkpoint.save_last=False --checkpoint.save_top_k=0")
    assert lines[-2].startswith(f"run {RUN}: step 5, validation NLL ")
    assert lines[-1] == CURVES
