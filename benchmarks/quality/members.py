"""The contribution of each member of configs/mixture.yaml: the NLL of every subset of them on split B."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.commands import fit
from benchmarks.quality.quality import mean_and_deviation, write_split
from benchmarks.report import Table
from sequentia.data import CharDataModule
from sequentia.data.batches import Lines
from sequentia.models import LanguageModel
from sequentia.models.mixture import Mixture, choose_weights
from sequentia.runs.checkpoint import load

SEEDS = 2


class Predictions(NamedTuple):
    """What the members of a mixture predict for some lines.

    Attributes:
        log_probs: Log probabilities of the next token under each member, `(M, N, V)`.
        target: The tokens, `(N,)`.
    """

    log_probs: Tensor
    target: Tensor

    def nll(self, rows: list[int], weights: Tensor) -> float:
        """NLL of a mixture of some of the members."""
        return float(F.cross_entropy(torch.tensordot(weights, self.log_probs[rows], 1), self.target))


class Members(NamedTuple):
    """The members of a trained mixture: names, and predictions for the held-out lines."""

    names: list[str]
    val: Predictions
    test: Predictions


def train_members(seed: int, *options: str) -> Members:
    """Train the mixture, whose members learn independently of each other."""
    with tempfile.TemporaryDirectory() as directory:
        files = write_split(Path(directory), "B")
        model = load(fit(Path(directory), "mixture", *files, f"--seed_everything={seed}", *options, threads=1))
        path, val_path, test_path = (file.split("=")[1] for file in files)
        data = CharDataModule(path, val_path, test_path)
        names = [entry["architecture"] for entry in model.hparams["members"]]
        return Members(names, *(predictions(model, data, lines) for lines in (data.split.val, data.split.test)))


@torch.inference_mode()
def predictions(model: LanguageModel, data: CharDataModule, lines: Lines) -> Predictions:
    """The predictions of a mixture's members for some lines."""
    if not isinstance(model, Mixture):
        raise TypeError(f"expected a Mixture, got {type(model).__name__}")
    log_probs, targets = [], []
    for batch in data.eval_batches(lines):
        kept = batch.target >= 0
        log_probs.append(model.log_probs_of_members(batch.context, batch.position)[:, kept])
        targets.append(batch.target[kept])
    return Predictions(torch.cat(log_probs, 1), torch.cat(targets))


def run(quick: bool) -> str:
    """Train with every seed, one run per core; returns the table."""
    short = ["--trainer.max_steps=20"] if quick else []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        trained = list(pool.map(lambda seed: train_members(seed, *short), range(SEEDS)))
    table = Table("members of configs/mixture.yaml", "seeds", "validation NLL", "test NLL", "weights with seed 0")
    names = trained[0].names
    for size in range(1, len(names) + 1):
        for subset in combinations(range(len(names)), size):
            rows = list(subset)
            start = torch.full((size,), 1 / size)
            weights = [choose_weights(run.val.log_probs[rows], run.val.target, start, start) for run in trained]
            val = [run.val.nll(rows, w) for run, w in zip(trained, weights, strict=True)]
            test = [run.test.nll(rows, w) for run, w in zip(trained, weights, strict=True)]
            shown = ", ".join(f"{weight:.2f}" for weight in weights[0])
            label = " + ".join(names[i] for i in rows)
            table.add(label, SEEDS, mean_and_deviation(val), mean_and_deviation(test), shown)
    return f"## Members of the mixture\n\n{table}\n"
