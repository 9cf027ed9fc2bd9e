"""The messages at the end of a run: its result, the reason why it stopped, and commands that work."""

import errno
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from sequentia.cli import main
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.training.logs.messages import plain_messages
from sequentia.training.logs.tensorboard import RunTensorBoard
from tests.training.runs import CONFIGS, LINES, curves

Fit = Callable[..., list[str]]

RUN = "checkpoints/bigram/version_0"
SAMPLE = f"  sample   sequentia sample {RUN}"
TEST = f"  test     sequentia test {RUN}"
CURVES = "  curves   tensorboard --logdir checkpoints"
RESUME = f"  resume   sequentia fit --ckpt_path {RUN}"


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


def test_an_error_of_tensorboards_thread_is_raised_and_not_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(self: RecordWriter, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(RecordWriter, "write", write)
    with plain_messages(), pytest.raises(OSError, match="no space"):
        RunTensorBoard(tmp_path, 0).save()
    assert capsys.readouterr() == ("", "")


def resume(lines: list[str]) -> int:
    """Run the command of the line `resume`; returns the step at which the resumed run ended."""
    (command,) = (line for line in lines if line.startswith("  resume "))
    arguments = shlex.split(command)[2:]
    assert main(arguments) == 0
    return int(read_checkpoint(Path(arguments[2], "last.ckpt"))["global_step"])


def test_a_complete_run_prints_its_result_and_what_to_do_next(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.max_steps=5")
    nll = lines[-6].removeprefix("step 5  ").split("val/loss ")[1].split()[0]
    result = f"run {RUN}: step 5, best validation NLL {nll} nats per character"
    assert lines[-5:] == [result, SAMPLE, TEST, CURVES, f"{RESUME} --trainer.max_steps 10"]
    assert resume(lines) == 10


def test_a_best_score_is_named_after_its_metric(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.max_steps=5 --checkpoint.monitor=val/perplexity")
    (result,) = (line for line in lines if line.startswith("run "))
    assert result.startswith(f"run {RUN}: step 5, best val/perplexity ")


def test_a_run_that_a_callback_stopped_can_be_resumed(fit: Fit) -> None:
    early = "--trainer.callbacks=EarlyStopping --trainer.callbacks.monitor=val/loss --trainer.callbacks.patience=2"
    lines = fit("bigram", f"{early} --optimizer.lr=0 --trainer.max_steps=50 --trainer.val_check_interval=3")
    result = f"run {RUN}: step 9, best validation NLL 2.7726 nats per character"
    assert lines[-6:] == ["stopped early at step 9 of 50", result, SAMPLE, TEST, CURVES, RESUME]
    assert resume(lines) == 12


def test_a_time_limit_offers_no_command_that_would_stop_at_once(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.max_steps=10000000 --trainer.max_time=00:00:00:01")
    assert lines[-5].endswith(" of 10000000: the time limit is reached; to resume, give a longer one")
    assert lines[-3:] == [SAMPLE, TEST, CURVES]
    step = read_checkpoint(Path(RUN, "last.ckpt"))["global_step"]
    assert main(["fit", f"--ckpt_path={RUN}", "--trainer.max_time=00:10:00", f"--trainer.max_steps={step + 2}"]) == 0


def test_a_counted_table_is_complete_after_one_epoch(fit: Fit) -> None:
    lines = fit("bigram_counts", "--trainer.max_epochs=3")
    run = RUN.replace("bigram", "bigram_counts")
    assert "training for 13 steps (1 epoch)" in lines
    nll = lines[-5].removeprefix("all lines counted  ").split("val/loss ")[1].split()[0]
    assert lines[-4:] == [
        f"run {run}: all lines counted, best validation NLL {nll} nats per character",
        SAMPLE.replace("bigram", "bigram_counts"),
        TEST.replace("bigram", "bigram_counts"),
        CURVES,
    ]


def test_without_tensorboard_the_curves_are_in_metrics_csv(fit: Fit) -> None:
    assert f"  curves   {RUN}/metrics.csv" in fit("bigram", "--trainer.max_steps=5 --trainer.logger=False")


@pytest.mark.parametrize("accumulated", [1, 3])
def test_the_training_loss_is_the_one_in_tensorboard(fit: Fit, accumulated: int) -> None:
    options = "--data.val_fraction=0 --data.test_fraction=0 --trainer.max_steps=5 --trainer.log_every_n_steps=1"
    lines = fit("bigram", f"{options} --trainer.accumulate_grad_batches={accumulated}")
    (result,) = (line for line in lines if line.startswith("run "))
    loss = curves(Path(RUN))["train/loss"][-1][1]
    assert result == f"run {RUN}: step 5, training NLL {loss:.4f} nats per character"


def test_a_trial_run_says_that_nothing_was_saved(fit: Fit) -> None:
    lines = fit("bigram", "--trainer.fast_dev_run=3")
    assert lines[-1] == "trial run complete at step 3: nothing was saved"
    assert not list(Path("checkpoints").rglob("*.*"))
