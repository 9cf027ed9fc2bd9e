"""The model card has the Hub's form, and states the model's size, samples and data."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from sequentia.export.card import model_card
from sequentia.models import Transformer
from sequentia.runs.checkpoint import load

MODEL = Transformer("<ab", 5, n_layer=1, n_head=1, n_embd=4)


def test_it_has_the_hubs_header_and_states_what_the_model_is() -> None:
    parsed = ModelCard(model_card(MODEL, "toy"))
    assert parsed.data.to_dict() == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["sequentia", "character-level", "gpt2"],
    }
    assert parsed.text.strip().startswith("# toy")
    assert f"{sum(p.numel() for p in MODEL.parameters()):,} parameters" in parsed.text
    assert "The longest line has 4 characters. The vocabulary has 3:\n\n    <ab\n" in parsed.text
    assert "\n".join(f"    {line}" for line in MODEL.sample(10, seed=0)) in parsed.text
    assert "## Results" not in parsed.text


def test_the_result_of_sequentia_test_is_in_the_header_and_on_the_card(save_run: Callable[..., Path]) -> None:
    run = save_run(MODEL)
    (run / "config.yaml").write_text("data: {path: brands.txt}")
    digest = sha256((run / "best.ckpt").read_bytes()).hexdigest()
    measured = {"test/loss": 1.23456, "test/perplexity": 3.4, "checkpoint_sha256": digest}
    (run / "test.json").write_text(json.dumps(measured))
    parsed = ModelCard(model_card(load(run), "toy"))
    results = parsed.data["eval_results"]
    assert [(r.metric_type, r.metric_value, r.dataset_name, r.dataset_split) for r in results] == [
        ("nll", 1.2346, "brands.txt", "test"),
        ("perplexity", 3.4, "brands.txt", "test"),
    ]
    assert "| NLL in nats per character | 1.2346 |" in parsed.text


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("data: {path: [/home/me/secret/brands.txt, more.txt]}", "    brands.txt, more.txt\n"),
        *((config, None) for config in ("data: [1]", "data: {path: null}", "nonsense")),
    ],
)
def test_the_data_are_named_without_their_directory_if_the_run_has_them(
    save_run: Callable[..., Path], config: str, names: str | None
) -> None:
    run = save_run(MODEL)
    (run / "config.yaml").write_text(config)
    text = model_card(load(run), "toy")
    assert "secret" not in text
    assert ("One example per line" in text) == (names is not None)
    assert (names or "") in text
