import math

import pytest
import torch

from sequentia.metrics import CharacterNLL, bits_per_char


def test_every_character_has_the_same_weight_whatever_the_size_of_its_batch() -> None:
    metric = CharacterNLL()
    metric.update(torch.tensor(2.0), 1)
    metric.update(torch.tensor(3.0), 9)
    assert metric.compute() == 0.5


def test_the_sum_is_kept_in_double_precision() -> None:
    metric = CharacterNLL()
    metric.update(torch.tensor(2.0**25), 1)
    for _ in range(4):
        metric.update(torch.tensor(1.0), 0)  # in single precision 2^25 + 1 is 2^25
    assert metric.compute() == 2**25 + 4


def test_a_bit_is_ln_2_nats() -> None:
    assert bits_per_char(torch.tensor(math.log(2))) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_sum_keeps_its_precision_in_a_half_precision_model(dtype: torch.dtype) -> None:
    model = torch.nn.Module()
    model.metric = CharacterNLL()
    model.to(dtype)
    for _ in range(2):
        for _ in range(50):
            model.metric.update(torch.tensor(4001.0), 2000)
        assert model.metric.compute() == 4001 / 2000
        model.metric.reset()
