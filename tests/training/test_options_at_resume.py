"""Options given when a run is resumed override the checkpoint's, and each change is logged."""

import pytest
import torch

from sequentia.runs.checkpoint import read_checkpoint
from tests.training.runs import ForkServer, Uninterrupted, arguments, curves, the_run

RATE = "vitals/lr_hidden"  # which --optimizer.lr sets
EXPONENTIAL = ["--lr_scheduler", "torch.optim.lr_scheduler.ExponentialLR", "--lr_scheduler.gamma", "0.5"]
CYCLE = ["--lr_scheduler", "torch.optim.lr_scheduler.OneCycleLR", "--lr_scheduler.max_lr", "0.01"]
CONSTANT = ["--lr_scheduler.decay", "none", "--lr_scheduler.warmup", "0"]


def rates(
    fit: ForkServer, uninterrupted: Uninterrupted, name: str, first: list[str], then: list[str]
) -> tuple[list[float], str]:
    """Learning rate of each step of a run of 20 steps that is resumed before the 11th with the options `then`."""
    cwd = uninterrupted.workdir(name)
    common = [*arguments("every 5 steps"), "--trainer.max_steps"]
    assert fit(cwd, [*common, "20", *first], {"call": "on_train_batch_end", "count": 11}) == -9
    assert fit(cwd, [*common, "20", *first, *then, "--ckpt_path", "last"]) == 0, (cwd / "log").read_text()
    return [lr for _, lr in curves(the_run(cwd))[RATE]], (cwd / "log").read_text()


def test_a_new_constant_rate_holds_for_the_remaining_steps(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    lr, log = rates(fit, uninterrupted, "constant", [*CONSTANT, "--optimizer.lr", "0.01"], ["--optimizer.lr", "0.002"])
    assert lr == pytest.approx([0.01] * 10 + [0.002] * 10)
    assert "optimizer.init_args.lr changed: 0.01 -> 0.002" in log


def test_a_new_rate_scales_an_exponential_schedule_from_the_current_step(
    fit: ForkServer, uninterrupted: Uninterrupted
) -> None:
    first = [*EXPONENTIAL, "--optimizer.lr", "0.01", "--data.batch_size", "64"]  # epochs of 4 batches
    lr, _ = rates(fit, uninterrupted, "exponential", first, ["--optimizer.lr", "0.1"])
    assert lr == pytest.approx([0.01 * 0.5 ** (i // 4) * (10 if i >= 10 else 1) for i in range(20)])


def cycle(peak: float) -> list[float]:
    """The rates of a cycle of 20 steps, by PyTorch alone."""
    optimizer = torch.optim.SGD([torch.zeros(1)], momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=20)
    lr = []
    for _ in range(20):
        lr.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return lr


def test_a_one_cycle_schedule_with_a_new_peak_follows_the_curve_of_that_peak(
    fit: ForkServer, uninterrupted: Uninterrupted
) -> None:
    mixed, _ = rates(fit, uninterrupted, "cycle changed", CYCLE, ["--lr_scheduler.max_lr", "0.03"])
    assert len(mixed) == 20
    assert mixed[:10] == pytest.approx(cycle(0.01)[:10])
    assert mixed[11:] == pytest.approx(cycle(0.03)[11:])


def test_a_new_length_stretches_the_schedule(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    cwd, other = uninterrupted.workdir("stretched"), uninterrupted.workdir("long from the start")
    assert fit(cwd, [*arguments("every 5 steps"), "--trainer.max_steps", "20"]) == 0
    assert fit(cwd, [*arguments("every 5 steps"), "--trainer.max_steps", "30", "--ckpt_path", "last"]) == 0
    assert fit(other, [*arguments("every 5 steps"), "--trainer.max_steps", "30"]) == 0
    stretched, expected = ([lr for _, lr in curves(the_run(workdir))[RATE]] for workdir in (cwd, other))
    assert len(stretched) == 30
    assert stretched[20:] == pytest.approx(expected[20:])


def test_new_weight_decay_and_dropout_override_the_checkpoint(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("decay")
    assert (
        fit(cwd, [*arguments("every 5 steps"), "--optimizer.weight_decay", "0.1"], {"call": "replace", "count": 6})
        == -9
    )
    more = ["--optimizer.weight_decay", "0.3", "--model.dropout", "0.4", "--ckpt_path", "last"]
    assert fit(cwd, [*arguments("every 5 steps"), *more]) == 0
    log = (cwd / "log").read_text()
    assert "optimizer.init_args.weight_decay changed: 0.1 -> 0.3" in log
    assert "model.init_args.dropout changed: 0.1 -> 0.4" in log
    saved = read_checkpoint(the_run(cwd) / "last.ckpt")
    decays = [group["weight_decay"] for group in saved["optimizer_states"][0]["param_groups"]]
    assert set(decays) == {0.3, 0.0}  # matrices, and vectors, which weight decay leaves alone
    assert saved["hyper_parameters"]["dropout"] == 0.4


@pytest.mark.parametrize(
    ("options", "what"), [(["--optimizer", "torch.optim.SGD"], "optimizer"), (EXPONENTIAL, "lr_scheduler")]
)
def test_another_class_of_optimizer_or_schedule_is_refused(
    fit: ForkServer, uninterrupted: Uninterrupted, options: list[str], what: str
) -> None:
    cwd = uninterrupted.workdir(f"another {what}")
    assert fit(cwd, arguments("every 5 steps"), {"call": "on_train_batch_end", "count": 9}) == -9
    more = ["--optimizer.lr", "0.1"] if what == "optimizer" else []
    config = (the_run(cwd) / "config.yaml").read_text()
    assert fit(cwd, [*arguments("every 5 steps"), *options, *more, "--ckpt_path", "last"]) == 2
    log = (cwd / "log").read_text()
    assert f"the checkpoint's {what} is " in log.splitlines()[-1]
    assert "Traceback" not in log
    assert (the_run(cwd) / "config.yaml").read_text() == config
