"""The contribution of each member of configs/mixture.yaml: the NLL of every subset of them on split B."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import torch
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


class Members(NamedTuple):
    """The members of a trained mixture: names, and log probabilities `(M, N)` of the targets under each."""

    names: list[str]
    val: Tensor
    test: Tensor


def train_members(seed: int, *options: str) -> Members:
    """Train the mixture, whose members learn independently of each other."""
    with tempfile.TemporaryDirectory() as directory:
        files = write_split(Path(directory), "B")
        model = load(fit(Path(directory), "mixture", *files, f"--seed_everything={seed}", *options, threads=1))
        path, val_path, test_path = (file.split("=")[1] for file in files)
        data = CharDataModule(path, val_path, test_path)
        names = [entry["architecture"] for entry in model.hparams["members"]]
        return Members(
            names, *(log_probs_of_members(model, data, lines) for lines in (data.split.val, data.split.test))
        )


@torch.inference_mode()
def log_probs_of_members(model: LanguageModel, data: CharDataModule, lines: Lines) -> Tensor:
    """Log probabilities of the N targets of some lines under each of a mixture's M members, `(M, N)`."""
    if not isinstance(model, Mixture):
        raise TypeError(f"expected a Mixture, got {type(model).__name__}")
    return torch.cat([model.member_log_probs(batch) for batch in data.eval_batches(lines)], 1)


def mixed_nll(log_probs: Tensor, log_weights: Tensor) -> float:
    """NLL of a mixture: log probabilities `(M, N)` of the targets under its members, and their weights `(M,)`."""
    return -float((log_probs + log_weights[:, None]).logsumexp(0).mean())


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
            weights = [choose_weights(run.val[rows], torch.zeros(size)) for run in trained]
            val = [mixed_nll(run.val[rows], w) for run, w in zip(trained, weights, strict=True)]
            test = [mixed_nll(run.test[rows], w) for run, w in zip(trained, weights, strict=True)]
            shown = ", ".join(f"{weight:.2f}" for weight in weights[0].exp())
            label = " + ".join(names[i] for i in rows)
            table.add(label, SEEDS, mean_and_deviation(val), mean_and_deviation(test), shown)
    return f"## Members of the mixture\n\n{table}\n"
