"""What holds for every architecture, now and to come: each in ARCHITECTURES is tested as it stands there."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch import Tensor

from sequentia.checkpoint import load_model
from sequentia.data.batches import Batch, make_batch
from sequentia.data.corpus import Corpus, read_corpus
from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES, LanguageModel, Transformer, TransformerEnsemble


def build(architecture: str, vocabulary: str, context_length: int) -> LanguageModel:
    """An architecture with its default sizes and all weights off their initial values, some of which are zero."""
    torch.manual_seed(1)
    model = ARCHITECTURES[architecture](vocabulary, context_length)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
        for buffer in model.buffers():  # counts
            buffer.random_(0, 100)
    return model.eval()


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(architecture: str, corpus: Corpus) -> LanguageModel:
    return build(architecture, corpus.vocabulary.characters, corpus.longest + 1)


def line_nll(model: LanguageModel, batch: Batch) -> dict[tuple[int, ...], float]:
    """NLL of each line of a batch, by the line's tokens."""
    logits = model(batch.context, batch.position)
    nll = F.cross_entropy(logits.transpose(1, 2), batch.target, reduction="none")
    found: dict[tuple[int, ...], float] = {}
    for row in range(len(batch.context)):
        kept = batch.target[row] != -100
        starts = (batch.position[row][kept] == 0).nonzero()[:, 0].tolist()
        bounds = zip(starts, [*starts[1:], int(kept.sum())], strict=True)
        for a, b in bounds:
            found[tuple(batch.context[row][kept][a:b].tolist())] = float(nll[row][kept][a:b].sum())
    return found


@torch.no_grad()
def test_later_tokens_change_no_earlier_logits(model: LanguageModel) -> None:
    length = model.context_length
    context = torch.randint(1, len(model.vocabulary), (3, length))
    context[:, 0] = 0
    logits = model(context)
    assert logits.shape == (3, length, len(model.vocabulary))
    for t in range(1, length):
        changed = context.clone()
        changed[:, t:] = context[:, t:] % (len(model.vocabulary) - 1) + 1
        assert torch.equal(model(changed)[:, :t], logits[:, :t])


@torch.no_grad()
def test_step_by_step_logits_equal_forwards(model: LanguageModel) -> None:
    context = torch.randint(1, len(model.vocabulary), (4, model.context_length))
    context[:, 0] = 0
    state, stepped = None, []
    for t in range(model.context_length):
        logits, state = model.step(context[:, t], state)
        stepped.append(logits)
    torch.testing.assert_close(torch.stack(stepped, 1), model(context), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_step_takes_up_any_subset_of_the_lines(model: LanguageModel) -> None:
    context = torch.randint(1, len(model.vocabulary), (4, 3))
    context[:, 0] = 0
    keep = torch.tensor([3, 1])
    state = None
    for t in range(2):
        _, state = model.step(context[:, t], state)
    assert state is not None
    logits, _ = model.step(context[keep, 2], tuple(tensor[keep] for tensor in state))
    torch.testing.assert_close(logits, model(context)[keep, 2], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_step_costs_the_same_however_many_came_before(model: LanguageModel) -> None:
    if isinstance(model, Transformer | TransformerEnsemble):
        pytest.skip("attention looks at all earlier tokens, so its state is all of them")
    state, sizes = None, set()
    for _ in range(model.context_length):
        _, state = model.step(torch.tensor([1, 2]), state)
        sizes.add(tuple(tensor.shape for tensor in state))
    assert len(sizes) == 1


@torch.no_grad()
def test_a_model_without_a_limit_reads_lines_longer_than_all_it_knew(model: LanguageModel) -> None:
    if model.max_positions is not None:
        assert model.max_positions == model.context_length
        pytest.skip("this architecture has a weight for each position")
    context = torch.randint(1, len(model.vocabulary), (2, 3 * model.context_length))
    context[:, 0] = 0
    logits, state = model(context), None
    assert logits.isfinite().all()
    for t in range(context.shape[1]):
        stepped, state = model.step(context[:, t], state)
        torch.testing.assert_close(stepped, logits[:, t], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("longest", [5, 1_020])
def test_lines_as_long_as_the_longest_that_was_read_can_be_drawn(architecture: str, longest: int) -> None:
    model = ARCHITECTURES[architecture]("a", longest + 1)
    (text,) = model.sample(1, seed=0, min_length=longest, max_length=longest)
    assert text == longest * "a"


@torch.no_grad()
def test_packing_and_batch_composition_change_no_lines_nll(model: LanguageModel, corpus: Corpus) -> None:
    every = line_nll(model, make_batch(corpus, np.arange(len(corpus))))
    assert len(every) == len(corpus)
    assert sum(every.values()) == pytest.approx(
        float(model.nll_sum(make_batch(corpus, np.arange(len(corpus))))), rel=1e-5
    )
    for i in range(len(corpus)):
        alone = corpus.vocabulary.encode(corpus.line(i))
        context = torch.tensor([[0, *alone]])
        target = torch.tensor([*alone, 0])
        nll = float(F.cross_entropy(model(context)[0], target, reduction="sum"))
        assert every[tuple(context[0].tolist())] == pytest.approx(nll, abs=1e-5 * (len(alone) + 1))


@torch.no_grad()
def test_padding_behind_a_line_changes_nothing(model: LanguageModel) -> None:
    context = torch.randint(1, len(model.vocabulary), (2, 4))
    padded = F.pad(context, (0, model.context_length - 4))
    torch.testing.assert_close(model(padded)[:, :4], model(context), atol=1e-5, rtol=1e-5)


def test_gradients_of_a_packed_batch_are_those_of_its_lines(model: LanguageModel, corpus: Corpus) -> None:
    def gradients(batches: list[Batch]) -> list[Tensor]:
        model.zero_grad()
        for batch in batches:
            model.nll_sum(batch).backward()
        return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]

    if not any(p.requires_grad for p in model.parameters()):
        pytest.skip("this architecture is not trained by gradients")
    packed = gradients([make_batch(corpus, np.arange(len(corpus)))])
    alone = gradients([make_batch(corpus, np.array([i])) for i in range(len(corpus))])
    assert sum(float(g.abs().sum()) for g in packed) > 0
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_zeroed_output_layer_gives_ln_v(model: LanguageModel, corpus: Corpus) -> None:
    output = model.head if hasattr(model, "head") else model
    for weights in (*output.parameters(), *output.buffers()):
        weights.zero_()
    batch = make_batch(corpus, np.arange(len(corpus)))
    assert float(model.nll_sum(batch)) / batch.total == pytest.approx(math.log(len(corpus.vocabulary)), rel=1e-6)


class TestSampling:
    @pytest.fixture
    def small(self, architecture: str) -> LanguageModel:
        return build(architecture, "abc", 4)

    def test_frequencies_follow_the_probabilities(self, small: LanguageModel) -> None:
        draws = 20_000
        counts: dict[str, int] = {}
        for text in small.sample(draws, seed=3, max_length=2, batch_size=draws):
            counts[text] = counts.get(text, 0) + 1
        expected = {}
        with torch.no_grad():
            first, state = small.step(torch.tensor([0]))
            p_first = first.softmax(1)[0]
            expected[""] = float(p_first[0])
            for i, a in enumerate("abc", start=1):
                second = small.step(torch.tensor([i]), state)[0].softmax(1)[0]
                expected[a] = float(p_first[i] * second[0])
                for j, b in enumerate("abc", start=1):
                    expected[a + b] = float(p_first[i] * second[j])
        assert sum(expected.values()) == pytest.approx(1, abs=1e-5)
        assert set(counts) <= set(expected)
        chi2 = sum((counts.get(text, 0) - draws * p) ** 2 / (draws * p) for text, p in expected.items())
        freedom = len(expected) - 1
        p_value = float(torch.special.gammaincc(torch.tensor(freedom / 2.0), torch.tensor(chi2 / 2)))
        assert p_value > 1e-3

    def test_the_same_seed_gives_the_same_samples(self, small: LanguageModel) -> None:
        assert small.sample(50, seed=7) == small.sample(50, seed=7)
        assert small.sample(50, seed=7) != small.sample(50, seed=8)

    @torch.no_grad()
    def test_low_temperature_and_top_1_equal_argmax(self, small: LanguageModel) -> None:
        longest, text, token, state = 3, "", torch.tensor([0]), None
        while len(text) < longest:
            logits, state = small.step(token, state)
            token = logits.argmax(1)
            if token == 0:
                break
            text += "abc"[int(token) - 1]
        near_argmax: list[dict[str, float]] = [{"top_k": 1}, {"top_p": 1e-6}, {"top_p": 1e-50}]
        near_argmax += [{"temperature": temperature} for temperature in (0.0, 1e-30, 1e-50)]
        for options in near_argmax:
            assert small.sample(5, seed=1, max_length=longest, **options) == [text] * 5

    def test_prompt_and_length_bounds_are_kept(self, small: LanguageModel) -> None:
        for text in small.sample(200, seed=1, prompt="b", min_length=2, max_length=3):
            assert text.startswith("b")
            assert 2 <= len(text) <= 3


def save(model: LanguageModel, path: Path) -> None:
    """Write a checkpoint as a Trainer does."""
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(path)


@torch.no_grad()
def test_a_checkpoint_round_trip_changes_no_logit(model: LanguageModel, tmp_path: Path) -> None:
    save(model, tmp_path / "a.ckpt")
    state = torch.get_rng_state()
    loaded = load_model(tmp_path / "a.ckpt")
    assert torch.equal(torch.get_rng_state(), state)
    assert type(loaded) is type(model)
    assert loaded.vocabulary == model.vocabulary
    context = torch.randint(0, len(model.vocabulary), (2, model.context_length))
    assert torch.equal(loaded(context), model(context))


def test_data_with_another_vocabulary_is_refused(model: LanguageModel, write: Callable[..., str]) -> None:
    other = read_corpus([write(["xyz", "zyx"], "other.txt")])
    with pytest.raises(UserError, match="vocabulary"):
        model.check_vocabulary(other.vocabulary)
