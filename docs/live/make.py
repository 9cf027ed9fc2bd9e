"""Train the models of the page "Letter by letter" and write them to models.json beside this file.

    python docs/live/make.py

It takes a few minutes on one CPU core. The build of the site only reads the file, so it stays short.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import sequentia
from sequentia import CharDataModule
from sequentia.export.html import description, packed, weights
from sequentia.inference.options import max_sample_length
from sequentia.models import Bigram, LanguageModel

FILE = Path(__file__).with_name("models.json")
DATA, SEED = "names", 1

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "pairs": ("bigram_counts", {}),
    "mlp": ("mlp", {"model__n_embd": 16, "model__n_hidden": 160, "model__dropout": 0.0}),
    "gru": ("gru", {"model__n_embd": 24, "model__n_hidden": 80, "model__dropout": 0.05}),
    "transformer": ("transformer", {"model__n_layer": 3, "model__n_embd": 40, "model__dropout": 0.05}),
}
"""Shipped configs, with sizes that make a file of less than 300 kB, and dropout by validation NLL, lower for them."""

STEPS, RATE, INIT_SEED = (1, 10, 200), 50.0, 2147483647
"""Gradient descent on the table of pairs, as in chapter 7 of the tutorial: which tables are kept."""


def main() -> None:
    """Train all models on the same lines and pack them."""
    data = CharDataModule(DATA)
    test_lines = [data.corpus.line(i) for i in data.split.test]
    models = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, (config, options) in MODELS.items():
            models[name] = sequentia.fit(
                DATA, config=config, seed_everything=SEED, default_root_dir=directory, extra_metrics=False, **options
            )
    tensors = descended(data) | {
        f"{name}.{key}": w for name, model in models.items() for key, w in weights(model).items()
    }
    content = {
        "seed": SEED,
        "characters": data.vocabulary.characters,
        "max_length": min(map(max_sample_length, models.values())),
        "lines": len(data.split.train),
        "models": {
            name: description(model) | {"test_nll": test_nll(model, test_lines)} for name, model in models.items()
        },
        **packed(tensors),
    }
    FILE.write_text(json.dumps(content) + "\n", encoding="utf-8")


def test_nll(model: LanguageModel, lines: list[str]) -> float:
    """The NLL of held-out lines, in nats per character, with the weights in half precision as they are stored."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())
    scores = model.score(lines)
    return sum(score.nll for score in scores) / sum(len(score.log_probs) for score in scores)


def descended(data: CharDataModule) -> dict[str, Tensor]:
    """Tables of logits after each of `STEPS`, from random logits."""
    everything = CharDataModule(DATA, batch_size=len(data.corpus))
    (batch,) = everything.train_dataloader()
    model = Bigram(data.vocabulary.characters, data.context_length, INIT_SEED)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    tables = {}
    for step in range(1, max(STEPS) + 1):
        loss = model.training_loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in STEPS:
            tables[f"step{step}.logits.weight"] = model.logits.weight.detach().clone()
    return tables


if __name__ == "__main__":
    main()
