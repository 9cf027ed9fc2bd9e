"""The model card has the Hub's form, and numbers that the run recorded."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from sequentia.export.card import model_card
from sequentia.files import sha256
from sequentia.models import Transformer
from tests.conftest import CommandResult


@pytest.fixture
def model() -> Transformer:
    return Transformer("<ab", 5, n_layer=1, n_head=1, n_embd=4)


@pytest.fixture
def run(save_run: Callable[..., Path], model: Transformer) -> Path:
    """A run directory with a checkpoint that was written before the first step."""
    return save_run(model)


def card(model: Transformer, run: Path | None) -> str:
    return model_card(model, "toy", run and run / "best.ckpt")


def rows(text: str) -> list[list[str]]:
    """The table of metrics, without its header."""
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")][2:]


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
    assert rows(text) == [["any", "NLL of guessing among 4 tokens", f"{math.log(4):.4f}"]]


def test_the_metrics_are_those_of_the_step_at_which_the_checkpoint_was_written(model: Transformer, run: Path) -> None:
    checkpoint = torch.load(run / "best.ckpt", weights_only=True)
    torch.save(checkpoint | {"global_step": 2}, run / "best.ckpt")
    (run / "metrics.csv").write_text("step,train/loss,val/loss,val/accuracy\n1,9,1.5,\n2,8,2.5,0.5\n")
    assert rows(card(model, run))[1:] == [["val", "loss", "1.5000"]]


def test_it_has_the_metrics_of_test_json_if_they_are_of_this_checkpoint(
    model: Transformer, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = {"test/loss": 1.25, "test/lines": 1200, "step": 3, "checkpoint_sha256": sha256(run / "best.ckpt")}
    (run / "test.json").write_text(json.dumps(result))
    assert rows(card(model, run))[1:] == [["test", "loss", "1.2500"], ["test", "lines", "1,200"]]
    assert not caplog.messages
    (run / "best.ckpt").rename(run / "other.ckpt")
    assert rows(model_card(model, "toy", run / "other.ckpt"))[1:] == []


@pytest.mark.parametrize("content", ["{", '{"test/loss": 1.25, "checkpoint_sha256": "0"}'])
def test_a_test_json_that_is_damaged_or_of_another_checkpoint_is_left_out_with_a_warning(
    model: Transformer, run: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (run / "test.json").write_text(content)
    assert rows(card(model, run))[1:] == []
    assert "test.json is damaged or of an earlier checkpoint" in caplog.text


def test_the_data_are_named_without_their_directory(model: Transformer, run: Path) -> None:
    (run / "config.yaml").write_text("data: {path: [/home/me/secret/brands.txt, more.txt]}")
    text = card(model, run)
    assert "    brands.txt, more.txt\n" in text
    assert "secret" not in text


@pytest.mark.parametrize("content", ["data: [1]", "data: {path: null}", "nonsense", "{"])
def test_a_config_that_names_no_data_is_not_needed(model: Transformer, run: Path, content: str) -> None:
    (run / "config.yaml").write_text(content)
    assert "One example per line" not in card(model, run)


def test_a_card_of_a_run_has_its_validation_nll(
    command: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.txt").write_text("".join(f"{a}{b}\n" for a in "abcdefgh" for b in "aeiou"))
    options = "--data.path lines.txt --model.n_layer 1 --model.n_embd 4 --trainer.max_steps 2 --trainer.accelerator cpu"
    assert command("fit", "--config", "transformer", *options.split()).code == 0
    assert command("export", "--format", "gpt2", "out").code == 0
    found = {
        (split, metric): float(value.replace(",", ""))
        for split, metric, value in rows((tmp_path / "out/README.md").read_text())
    }
    (metrics,) = tmp_path.glob("checkpoints/*/*/metrics.csv")
    header, *lines = [line.split(",") for line in metrics.read_text().splitlines()]
    losses = [float(line[header.index("val/loss")]) for line in lines if line[header.index("val/loss")]]
    assert found["val", "loss"] == pytest.approx(min(losses), abs=1e-4)
