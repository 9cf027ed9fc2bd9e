"""Lines with labels, against enumeration: the joint distribution, the mixture over labels, and Bayes' theorem."""

import math
from collections.abc import Callable

import pytest
import torch

from sequentia.errors import UserError
from sequentia.inference.classification import classify
from sequentia.inference.ranks import Ranks
from sequentia.inference.sampling import generate
from sequentia.inference.scoring import score
from sequentia.inference.search import top
from sequentia.models import Transformer
from tests.inference.enumeration import LINES, chi_square_test

FREQUENCIES = {"": 0.2, "F": 0.5, "M": 0.3}


@pytest.fixture(scope="module")
def model() -> Transformer:
    labels = {label: round(10 * frequency) for label, frequency in FREQUENCIES.items()}
    model = Transformer({"characters": "abc", "labels": labels}, 5, n_layer=1, n_head=1, n_embd=8).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator, std=0.5)
    return model


@pytest.fixture(scope="module")
def joint(model: Transformer) -> dict[tuple[str, str], float]:
    """The probability of each label with each line."""
    found = {}
    for label, frequency in FREQUENCIES.items():
        for text in LINES:
            ids = [model.vocabulary.start(label), *model.vocabulary.encode(text).tolist()]
            with torch.no_grad():
                log_probs = model(torch.tensor([ids]))[0].double().log_softmax(-1)
            line = sum(float(log_probs[t, target]) for t, target in enumerate([*ids[1:], 0]))
            found[label, text] = frequency * math.exp(line)
    return found


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, lambda label, text: True),
        ({"label": "M"}, lambda label, text: label == "M"),
        ({"label": ""}, lambda label, text: label == ""),
        ({"prompt": "ab"}, lambda label, text: text.startswith("ab")),
        ({"match": ".*c", "label": "F"}, lambda label, text: label == "F" and text.endswith("c")),
        ({"match": "(a|b).", "min_length": 1}, lambda label, text: len(text) == 2 and text[0] in "ab"),
    ],
)
def test_samples_have_the_joint_distribution_of_label_and_line(
    model: Transformer,
    joint: dict[tuple[str, str], float],
    options: dict[str, str],
    wanted: Callable[[str, str], bool],
) -> None:
    samples = [f"{s.label}\t{s.text}" for s in generate(model, 20_000, seed=1, **options)]
    chi_square_test(samples, {f"{label}\t{text}": p for (label, text), p in joint.items() if wanted(label, text)})


def test_the_score_without_a_label_is_the_mixture_over_labels(
    model: Transformer, joint: dict[tuple[str, str], float]
) -> None:
    for scored in score(model, LINES):
        assert scored.nll == pytest.approx(-math.log(sum(joint[label, scored.text] for label in FREQUENCIES)), abs=1e-4)
    for scored in score(model, LINES, label="M"):
        assert scored.nll == pytest.approx(-math.log(joint["M", scored.text] / FREQUENCIES["M"]), abs=1e-4)


@pytest.mark.parametrize("label", [None, "F"])
def test_top_lists_the_most_probable_lines_of_a_label_or_of_all(
    model: Transformer, joint: dict[tuple[str, str], float], label: str | None
) -> None:
    labels = FREQUENCIES if label is None else [label]
    probability = {text: sum(joint[each, text] for each in labels) for text in LINES}
    best = sorted(LINES, key=lambda text: -probability[text])
    lines = top(model, 30, label=label)
    assert [line.text for line in lines] == best[:30]
    ranks = Ranks(model, 20_000, label=label)
    for place in (0, 5, 20):
        rank = ranks.rank(lines[place].nll)
        assert rank.guesses == pytest.approx(place, abs=4 * rank.error + 0.01)


def test_classify_is_bayes_theorem(model: Transformer, joint: dict[tuple[str, str], float]) -> None:
    for text, found in zip(LINES, classify(model, LINES), strict=True):
        total = joint["F", text] + joint["M", text]
        assert found == pytest.approx({label: joint[label, text] / total for label in ("F", "M")}, abs=1e-4)
        assert sum(found.values()) == pytest.approx(1)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_label_that_no_line_has_is_refused_with_those_that_there_are(model: Transformer) -> None:
    with pytest.raises(UserError, match=r"the model has no label 'X': use F, M"):
        model.sample(1, label="X")
    plain = Transformer("abc", 5, n_layer=1, n_head=1, n_embd=8)
    for call in (lambda: plain.score(["a"], label="F"), lambda: plain.classify(["a"])):
        with pytest.raises(UserError, match="the model has no labels"):
            call()
