"""Which files a run has, and when."""

from pathlib import Path

import pytest
import torch

from sequentia.checkpoint import read_checkpoint
from tests.training.runs import ForkServer, Straight, arguments, same_runs, the_run

EVERY = "every 5 steps"


def test_a_trial_run_leaves_nothing_behind(fit: ForkServer, straight: Straight) -> None:
    cwd = straight.place("trial")
    assert fit(cwd, [*arguments(EVERY), "--trainer.fast_dev_run", "3"]) == 0, (cwd / "log").read_text()
    assert [path for path in (cwd / "checkpoints").rglob("*") if path.is_file()] == []
    assert fit(cwd, arguments(EVERY)) == 0
    same_runs(the_run(cwd), straight(EVERY))


@pytest.mark.parametrize("logger", [["False"], ["CSVLogger", "--trainer.logger.save_dir", "logs"]], ids=lambda x: x[0])
def test_config_yaml_lies_with_the_checkpoints_whatever_the_logger(
    fit: ForkServer, straight: Straight, logger: list[str]
) -> None:
    cwd = straight.place(f"logger {logger[0]}")
    assert fit(cwd, [*arguments(EVERY), "--trainer.logger", *logger]) == 0, (cwd / "log").read_text()
    assert {path.name for path in the_run(cwd).iterdir()} == {"config.yaml", "best.ckpt", "last.ckpt"}
    assert not (the_run(cwd).parent / "config.yaml").exists()


def branch(cwd: Path, steps: str) -> list[str]:
    """Arguments of a run that branches off from the best checkpoint of a run of 21 steps, the 8th step of its epoch."""
    return [*arguments(EVERY), "--trainer.max_steps", steps, "--ckpt_path", str(the_run(cwd) / "best.ckpt")]


def test_a_branch_killed_before_its_first_step_goes_on_as_a_branch(fit: ForkServer, straight: Straight) -> None:
    whole, killed = straight.place("branch"), straight.place("branch killed")
    for cwd in (whole, killed):
        assert fit(cwd, [*arguments(EVERY), "--trainer.max_steps", "21"]) == 0
    assert fit(whole, branch(whole, "40")) == 0
    assert fit(killed, branch(killed, "40"), {"call": "on_train_batch_start", "count": 1}) == -9
    assert fit(killed, [*arguments(EVERY), "--ckpt_path", "last"]) == 0
    one, other = (cwd / "checkpoints" / "transformer" / "version_1" for cwd in (whole, killed))
    assert read_checkpoint(one / "last.ckpt")["global_step"] == 40
    weights = [read_checkpoint(run / "last.ckpt")["state_dict"] for run in (one, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    same_runs(other, one)


@pytest.mark.parametrize(("keep", "files"), [("2", {"best.ckpt", "last.ckpt"}), ("0", {"last.ckpt"})])
def test_with_nothing_held_out_the_last_is_the_best_and_no_more_are_kept(
    fit: ForkServer, straight: Straight, keep: str, files: set[str]
) -> None:
    cwd = straight.place(f"nothing held out, {keep} kept")
    assert fit(cwd, [*arguments("nothing held out"), "--checkpoint.save_top_k", keep]) == 0
    assert {path.name for path in the_run(cwd).glob("*.ckpt")} == files


def test_another_model_checkpoint_takes_nothing_from_the_run(fit: ForkServer, straight: Straight) -> None:
    cwd = straight.place("two checkpoints")
    other = ["--trainer.callbacks", "ModelCheckpoint", "--trainer.callbacks.dirpath", "mine"]
    assert fit(cwd, [*arguments(EVERY), *other]) == 0, (cwd / "log").read_text()
    assert {path.name for path in the_run(cwd).iterdir()} > {"config.yaml", "best.ckpt", "last.ckpt"}
    assert not (cwd / "mine" / "config.yaml").exists()
    assert "best validation NLL" in (cwd / "log").read_text()
