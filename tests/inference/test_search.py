"""`top` finds the most probable lines, and the estimated ranks agree with it."""

import inspect
import math
import weakref

import pytest
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference import search
from sequentia.inference.ranks import Ranks
from sequentia.inference.search import top
from tests.conftest import bigram
from tests.inference.enumeration import LINES, probabilities, uneven


@pytest.mark.parametrize("num_lines", [1, 30, len(LINES)])
def test_the_most_probable_lines_are_those_of_an_enumeration(num_lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_ROWS", 3)
    model = uneven()
    expected = sorted(probabilities(model, LINES).items(), key=lambda item: -item[1])[:num_lines]
    found = top(model, num_lines)
    assert [line.text for line in found] == [text for text, _ in expected]
    assert [line.nll for line in found] == pytest.approx([-math.log(p) for _, p in expected], abs=1e-5)


def test_conditions_leave_out_lines_and_change_no_order() -> None:
    model = uneven()
    every = [line.text for line in top(model, len(LINES))]
    wanted = [text for text in every if text[:1] == "b" and text[-1:] == "a" and len(text) > 2 and text != "bca"]
    assert [line.text for line in top(model, 100, prompt="b", match=".*a", min_length=3, avoid=["bca"])] == wanted


def test_several_prompts_get_as_many_lines_each_in_their_order() -> None:
    model = uneven()
    assert top(model, 3, prompt=["b", "a"]) == top(model, 3, prompt="b") + top(model, 3, prompt="a")


def test_the_memory_of_a_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = uneven()
    expected, step, live, most = [line.text for line in top(model, len(LINES))], model.step, 0, 0

    def release(size: int) -> None:
        nonlocal live
        live -= size

    def counted(token: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        nonlocal live, most
        logits, state = step(token, state)
        for tensor in state:
            live += tensor.nbytes
            weakref.finalize(tensor, release, tensor.nbytes)
        most = max(most, live)
        return logits, state

    monkeypatch.setattr(model, "step", counted)
    assert [line.text for line in top(model, len(LINES))] == expected
    assert most > 8_000
    monkeypatch.setattr(search, "_MEMORY", 8_000)
    most = 0
    assert [line.text for line in top(model, len(LINES))] == expected
    assert most < 8_000


def test_a_model_with_fewer_lines_gives_all_of_them_and_endless_ones_are_no_lines() -> None:
    coin = bigram([[0.0, 0.5, 0.5], [0.75, 0.0, 0.25], [0.0, 0.0, 1.0]], "ab")  # "b" goes on forever
    assert [(line.text, round(line.nll, 6)) for line in top(coin, 3)] == [("a", round(-math.log(0.375), 6))]


def test_an_option_of_drawing_at_random_is_refused_and_not_in_the_signature() -> None:
    with pytest.raises(UserError, match="temperature is for lines drawn at random, not for the most probable ones"):
        uneven().top(1, temperature=0.5)
    assert list(inspect.signature(top).parameters)[:3] == ["model", "num_lines", "prompt"]
    assert "temperature" not in inspect.signature(top).parameters


def test_a_search_that_leads_nowhere_ends_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_BUDGET", 1000)
    with pytest.raises(UserError, match="found 0 of 1 lines after 1,000 beginnings: ask for fewer lines, or loosen"):
        top(bigram([[0.5, 0.5], [0.5, 0.5]], "a"), 1, valid=lambda text: False)


def test_the_rank_is_the_number_of_more_probable_lines_within_its_error() -> None:
    model = uneven()
    found, ranks = top(model, len(LINES)), Ranks(model, draws=20_000)
    for index in (0, 5, 40, 120):
        rank = ranks.rank(found[index].nll)
        assert abs(rank.guesses - index) <= 4 * rank.error + 1e-9
        assert rank.error <= 3


def test_a_line_that_the_model_cannot_produce_has_no_rank() -> None:
    assert Ranks(uneven(), draws=100).rank(math.inf).guesses == math.inf
