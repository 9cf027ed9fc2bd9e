import math

import pytest
import torch

from sequentia.inference.likelihood import CharacterMean, bits_per_char, correct, perplexity


def test_every_character_has_the_same_weight_whatever_the_size_of_its_batch() -> None:
    metric = CharacterMean()
    metric.update(torch.tensor(2.0), 1)
    metric.update(torch.tensor(3.0), 9)
    assert metric.compute() == 0.5


def test_the_sum_is_kept_in_double_precision() -> None:
    metric = CharacterMean()
    metric.update(torch.tensor(2.0**25), 1)
    for _ in range(4):
        metric.update(torch.tensor(1.0), 0)  # in single precision 2^25 + 1 is 2^25
    assert metric.compute() == 2**25 + 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_sum_keeps_its_precision_in_a_half_precision_model(dtype: torch.dtype) -> None:
    model = torch.nn.Module()
    model.metric = CharacterMean()
    model.to(dtype)
    for _ in range(2):
        for _ in range(50):
            model.metric.update(torch.tensor(4001.0), 2000)
        assert model.metric.compute() == 4001 / 2000
        model.metric.reset()


def test_a_bit_is_ln_2_nats_and_perplexity_of_a_uniform_choice_is_the_number_of_choices() -> None:
    assert bits_per_char(torch.tensor(math.log(2))) == 1
    assert float(perplexity(torch.tensor(math.log(27), dtype=torch.float64))) == pytest.approx(27, abs=1e-12)


def test_accuracy_counts_the_targets_that_are_most_probable_and_no_padding() -> None:
    logits = torch.tensor([[[0.0, 1, 2], [5, 1, 2], [1, 3, 3], [9, 0, 0]]])  # (1, 4, 3)
    metric = CharacterMean()
    metric.update(*correct(logits, torch.tensor([[2, 1, 1, -100]])))
    metric.update(*correct(logits[:, :1], torch.tensor([[0]])))
    assert metric.compute() == 2 / 4
