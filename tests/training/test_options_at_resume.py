"""Options given when a run goes on win over the checkpoint's, with a line that says so."""

import pytest

from sequentia.checkpoint import read_checkpoint
from tests.training.runs import ForkServer, Straight, arguments, curves, the_run

EXPONENTIAL = ["--lr_scheduler", "torch.optim.lr_scheduler.ExponentialLR", "--lr_scheduler.gamma", "0.5"]
CYCLE = ["--lr_scheduler", "torch.optim.lr_scheduler.OneCycleLR", "--lr_scheduler.max_lr", "0.01"]
CONSTANT = ["--lr_scheduler.decay", "none", "--lr_scheduler.warmup", "0"]


def rates(fit: ForkServer, straight: Straight, name: str, first: list[str], then: list[str]) -> tuple[list[float], str]:
    """Learning rate of each step of a run of 20 steps, of which those from the 11th on were taken with `then` too."""
    cwd = straight.place(name)
    common = [*arguments("every 5 steps"), "--trainer.max_steps"]
    assert fit(cwd, [*common, "20", *first], {"call": "on_train_batch_end", "count": 11}) == -9
    assert fit(cwd, [*common, "20", *first, *then, "--ckpt_path", "last"]) == 0, (cwd / "log").read_text()
    return [lr for _, lr in curves(the_run(cwd))["lr"]], (cwd / "log").read_text()


def test_a_new_rate_scales_what_is_left_of_a_constant_one(fit: ForkServer, straight: Straight) -> None:
    lr, log = rates(fit, straight, "constant", [*CONSTANT, "--optimizer.lr", "0.01"], ["--optimizer.lr", "0.002"])
    assert lr == pytest.approx([0.01] * 10 + [0.002] * 10)
    assert "from here on optimizer.init_args.lr is 0.002, so far it was 0.01" in log


def test_a_new_rate_scales_an_exponential_schedule_where_it_stands(fit: ForkServer, straight: Straight) -> None:
    first = [*EXPONENTIAL, "--optimizer.lr", "0.01", "--data.batch_size", "64"]  # epochs of 4 batches
    lr, _ = rates(fit, straight, "exponential", first, ["--optimizer.lr", "0.1"])
    assert lr == pytest.approx([0.01 * 0.5 ** (i // 4) * (10 if i >= 10 else 1) for i in range(20)])


def test_a_new_decay_of_an_exponential_schedule_holds_from_here_on(fit: ForkServer, straight: Straight) -> None:
    first = [*EXPONENTIAL, "--optimizer.lr", "0.01", "--data.batch_size", "64"]
    lr, log = rates(fit, straight, "gamma", first, ["--lr_scheduler.gamma", "0.1"])
    assert lr == pytest.approx([0.01] * 4 + [0.005] * 4 + [0.0025] * 4 + [0.00025] * 4 + [0.000025] * 4)
    assert "from here on lr_scheduler.init_args.gamma is 0.1, so far it was 0.5" in log


def test_a_new_peak_of_a_one_cycle_schedule_is_that_of_a_run_with_it(fit: ForkServer, straight: Straight) -> None:
    old, _ = rates(fit, straight, "cycle", CYCLE, [])
    new, _ = rates(fit, straight, "cycle of another peak", [*CYCLE[:-1], "0.03"], [])
    mixed, _ = rates(fit, straight, "cycle changed", CYCLE, ["--lr_scheduler.max_lr", "0.03"])
    assert mixed[:10] == pytest.approx(old[:10])
    assert mixed[11:] == pytest.approx(new[11:])


def test_a_new_length_stretches_the_schedule(fit: ForkServer, straight: Straight) -> None:
    cwd, other = straight.place("stretched"), straight.place("long from the start")
    assert fit(cwd, [*arguments("every 5 steps"), "--trainer.max_steps", "20"]) == 0
    assert fit(cwd, [*arguments("every 5 steps"), "--trainer.max_steps", "30", "--ckpt_path", "last"]) == 0
    assert fit(other, [*arguments("every 5 steps"), "--trainer.max_steps", "30"]) == 0
    stretched, expected = ([lr for _, lr in curves(the_run(place))["lr"]] for place in (cwd, other))
    assert len(stretched) == 30
    assert stretched[20:] == pytest.approx(expected[20:])


def test_new_weight_decay_and_dropout_win(fit: ForkServer, straight: Straight) -> None:
    cwd = straight.place("decay")
    assert (
        fit(cwd, [*arguments("every 5 steps"), "--optimizer.weight_decay", "0.1"], {"call": "replace", "count": 6})
        == -9
    )
    more = ["--optimizer.weight_decay", "0.3", "--model.dropout", "0.4", "--ckpt_path", "last"]
    assert fit(cwd, [*arguments("every 5 steps"), *more]) == 0
    log = (cwd / "log").read_text()
    assert "from here on optimizer.init_args.weight_decay is 0.3, so far it was 0.1" in log
    assert "from here on model.init_args.dropout is 0.4, so far it was 0.1" in log
    saved = read_checkpoint(the_run(cwd) / "last.ckpt")
    decays = [group["weight_decay"] for group in saved["optimizer_states"][0]["param_groups"]]
    assert set(decays) == {0.3, 0.0}  # matrices, and vectors, which are never decayed
    assert saved["hyper_parameters"]["dropout"] == 0.4


@pytest.mark.parametrize(
    ("options", "what"), [(["--optimizer", "torch.optim.SGD"], "optimizer"), (EXPONENTIAL, "lr_scheduler")]
)
def test_another_class_of_optimizer_or_schedule_is_refused(
    fit: ForkServer, straight: Straight, options: list[str], what: str
) -> None:
    cwd = straight.place(f"another {what}")
    assert fit(cwd, arguments("every 5 steps"), {"call": "on_train_batch_end", "count": 9}) == -9
    more = ["--optimizer.lr", "0.1"] if what == "optimizer" else []
    config = (the_run(cwd) / "config.yaml").read_text()
    assert fit(cwd, [*arguments("every 5 steps"), *options, *more, "--ckpt_path", "last"]) == 2
    log = (cwd / "log").read_text()
    assert f"the checkpoint's {what} is " in log.splitlines()[-1]
    assert "Traceback" not in log
    assert (the_run(cwd) / "config.yaml").read_text() == config
