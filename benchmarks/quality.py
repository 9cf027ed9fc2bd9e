"""The best names a few minutes buy: test NLL of the shipped configurations on two splits of names.txt, over seeds."""

import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.architectures import CONFIGS, sequentia
from benchmarks.report import Table
from benchmarks.textbook import Lines, train
from sequentia.data import CharDataModule, EvalBatches
from sequentia.models import ARCHITECTURES, LanguageModel

NAMES = Path(__file__).parents[2] / "shared" / "data" / "names.txt"
SIDES = ("train", "val", "test")
SEEDS = 5
CASES = (
    ("transformer", "AB"),
    *((name, "A") for name in ("bow", "mlp", "rnn", "gru", "lstm", "cnn")),
)
"""Config, and the splits it is trained on."""
TEXTBOOK = {"bow": "BagOfWords", "rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
"""Config -> architecture that the textbook loop trains for as long, at the same size."""


def split(directory: Path, name: str) -> list[str]:
    """Write the lines of one split; returns the options that name them.

    A takes the lines as they are, so that equal lines fall to both sides; B the distinct ones in their first order.
    The last 1,000 of a random order are test, the 1,000 before them validation.
    """
    lines = NAMES.read_text().split()
    if name == "B":
        lines = list(dict.fromkeys(lines))
    torch.manual_seed(3407)
    order = torch.randperm(len(lines)).tolist()
    parts = dict(zip(SIDES, (order[:-2000], order[-2000:-1000], order[-1000:]), strict=True))
    for side, part in parts.items():
        (directory / f"{name}_{side}.txt").write_text("\n".join(lines[i] for i in part) + "\n")
    train, val, test = (directory / f"{name}_{side}.txt" for side in SIDES)
    return [f"--data.path={train}", f"--data.val_path={val}", f"--data.test_path={test}"]


def figure(text: str, name: str) -> float:
    """One figure out of what `sequentia test` and `validate` print."""
    found = re.search(rf"{name}/loss\D*([\d.]+)", text)
    assert found, text
    return float(found[1])


def fit(directory: str, config: str, options: list[str]) -> tuple[float, float, float]:
    """Train, and test the best checkpoint; returns wall seconds of the whole command, and NLL of both sides."""
    start = time.perf_counter()
    sequentia(directory, "fit", *options)
    seconds = time.perf_counter() - start
    run = max((Path(directory) / "checkpoints" / config).iterdir(), key=lambda path: int(path.name.split("_")[1]))
    val, test = (sequentia(directory, command, *options, f"--ckpt_path={run}") for command in ("validate", "test"))
    return seconds, figure(val, "val"), figure(test, "test")


def textbook(name: str, options: list[str], seed: int, most: float) -> float:
    """Test NLL of the textbook loop with its constant rate after so many seconds."""
    path, val_path, test_path = (option.split("=")[1] for option in options[:3])
    data = CharDataModule(path, val_path, test_path)
    torch.manual_seed(seed)
    model: LanguageModel = ARCHITECTURES[name](data.vocabulary.characters, data.context_length)
    lines = Lines([data.corpus.line(int(i)) for i in data.split.train], data.vocabulary.characters)
    lines.longest = data.corpus.longest

    def order() -> Iterator[int]:
        draw = np.random.default_rng(seed)
        while True:
            yield from draw.permutation(len(lines)).tolist()

    trained = train(model, lines, order(), 32, 5e-4, most).model
    total = characters = 0.0
    with torch.inference_mode():
        for batch in EvalBatches(data.corpus, data.split.test, 500):
            total += trained.nll_sum(batch).item()  # type: ignore[operator]
            characters += batch.total
    return total / characters


def spread(figures: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {statistics.stdev(figures):.4f}" if len(figures) > 1 else ""
    return f"{statistics.mean(figures):.4f}{deviation}"


def run(quick: bool) -> str:
    """Train each configuration on each split with each seed; returns the table."""
    seeds, short = (1, ["--trainer.max_steps=20"]) if quick else (SEEDS, [])
    table = Table(
        *("config", "split", "seeds", "test NLL", "lowest", "highest", "validation NLL", "seconds, whole command"),
        "textbook loop's test NLL after as long",
    )
    with tempfile.TemporaryDirectory() as directory:
        for config, splits in CASES:
            for name in splits:
                data = split(Path(directory), name)
                common = [f"--config={CONFIGS}/{config}.yaml", *data, *short]
                done = [fit(directory, config, [*common, f"--seed_everything={seed}"]) for seed in range(seeds)]
                seconds, val, test = (list(column) for column in zip(*done, strict=True))
                theirs = ""
                if config in TEXTBOOK:
                    theirs = f"{textbook(TEXTBOOK[config], data, 0, statistics.median(seconds)):.4f}"
                table.add(
                    *(config, name, seeds, spread(test), f"{min(test):.4f}", f"{max(test):.4f}", spread(val)),
                    *(f"{statistics.median(seconds):.0f}", theirs),
                )
    return f"## Quality\n\n{table}\n"
