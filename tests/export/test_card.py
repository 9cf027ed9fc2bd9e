"""The model card has the Hub's form, and states the model's size, samples and data."""

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from sequentia.export.card import model_card
from sequentia.models import Transformer


@pytest.fixture
def model() -> Transformer:
    return Transformer("<ab", 5, n_layer=1, n_head=1, n_embd=4)


@pytest.fixture
def run(save_run: Callable[..., Path], model: Transformer) -> Path:
    """A run directory with a checkpoint that was written before the first step."""
    return save_run(model)


def card(model: Transformer, run: Path | None) -> str:
    return model_card(model, "toy", run and run / "best.ckpt")


def test_the_header_is_what_the_hub_reads(model: Transformer) -> None:
    parsed = ModelCard(card(model, None))
    assert parsed.data.to_dict() == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["sequentia", "character-level"],
    }
    assert parsed.text.strip().startswith("# toy")


def test_it_states_what_the_model_is(model: Transformer) -> None:
    text = card(model, None)
    assert f"{sum(p.numel() for p in model.parameters()):,} parameters" in text
    assert "The longest line has 4 characters. The vocabulary has 3:\n\n    <ab\n" in text
    assert "\n".join(f"    {line}" for line in model.sample(10, seed=0)) in text


def test_the_data_are_named_without_their_directory(model: Transformer, run: Path) -> None:
    (run / "config.yaml").write_text("data: {path: [/home/me/secret/brands.txt, more.txt]}")
    text = card(model, run)
    assert "    brands.txt, more.txt\n" in text
    assert "secret" not in text


@pytest.mark.parametrize("content", ["data: [1]", "data: {path: null}", "nonsense", "{"])
def test_a_config_that_names_no_data_is_not_needed(model: Transformer, run: Path, content: str) -> None:
    (run / "config.yaml").write_text(content)
    assert "One example per line" not in card(model, run)
