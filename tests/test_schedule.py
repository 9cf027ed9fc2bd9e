import math
from typing import Any

import pytest
import torch
from torch import nn

from sequentia.schedule import WarmupDecay


def rates(scheduler: WarmupDecay, steps: int) -> list[float]:
    """Learning rate of each of the next steps."""
    found = []
    for _ in range(steps):
        found.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def sgd(lr: float) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def test_the_rate_warms_up_linearly_and_decays_linearly_to_final() -> None:
    scheduler = WarmupDecay(sgd(1.0), total_steps=12, warmup=3, decay="linear", final=0.1)
    up, down = [1 / 4, 2 / 4, 3 / 4], [0.1 + 0.9 * (1 - i / 9) for i in range(10)]
    assert rates(scheduler, 13) == pytest.approx(up + down)


def test_a_warmup_below_1_is_a_fraction_of_the_run_and_cosine_decays_to_0() -> None:
    scheduler = WarmupDecay(sgd(2.0), total_steps=20, warmup=0.1, decay="cosine")
    expected = [2 / 3, 4 / 3] + [1 + math.cos(math.pi * i / 18) for i in range(18)]
    assert rates(scheduler, 20) == pytest.approx(expected)


def test_decay_none_keeps_the_peak_rate() -> None:
    assert rates(WarmupDecay(sgd(3.0), total_steps=4, warmup=1, decay="none"), 6) == [1.5, 3, 3, 3, 3, 3]


def test_a_restored_schedule_follows_its_own_curve_from_the_saved_step() -> None:
    first = WarmupDecay(sgd(1.0), total_steps=10, warmup=2, decay="linear")
    rates(first, 5)
    longer = WarmupDecay(sgd(4.0), total_steps=100, warmup=2, decay="linear")
    longer.optimizer.load_state_dict(first.optimizer.state_dict())
    longer.load_state_dict(first.state_dict())
    uninterrupted = WarmupDecay(sgd(4.0), total_steps=100, warmup=2, decay="linear")
    assert rates(longer, 10) == rates(uninterrupted, 15)[5:]


def test_a_resized_schedule_follows_the_curve_of_the_other_length() -> None:
    resized, other = (WarmupDecay(sgd(1.0), total_steps=n, warmup=0.1, decay="linear") for n in (100, 20))
    rates(resized, 5)
    resized.resize(20)
    assert rates(resized, 10) == rates(other, 15)[5:]


def test_a_schedule_without_total_steps_raises() -> None:
    with pytest.raises(ValueError, match="total_steps"):
        WarmupDecay(sgd(1.0))


@pytest.mark.parametrize(
    "options", [{"warmup": -1}, {"warmup": math.nan}, {"final": -1}, {"final": math.nan}, {"decay": "exponential"}]
)
def test_an_option_out_of_range_raises_an_error_that_names_it(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        WarmupDecay(sgd(1.0), total_steps=10, **options)
