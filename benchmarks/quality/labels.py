"""Last names of 19 locales: one model of lines with labels, against a model of each locale, and as a classifier."""

import io
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch

import sequentia
from benchmarks.commands import CONFIGS
from benchmarks.quality.classifiers import Examples, Quality, bayes, quality, recurrent
from benchmarks.quality.datasets import last_names
from benchmarks.quality.quality import SEEDS, mean_and_deviation, nll
from benchmarks.report import Table
from sequentia.data import CharDataModule
from sequentia.models import ARCHITECTURES, LanguageModel
from sequentia.models.counting import Counting
from sequentia.models.mixture import Mixture
from sequentia.models.parts.kneser_ney import KneserNey
from sequentia.runs.directory import ROOT

MODELS = ("ngram", "cnn")
BAYES, NETWORK = "naive Bayes on character n-grams (scikit-learn)", "network of PyTorch's tutorial"
NETWORK_SECONDS = 25
"""CPU time of the tutorial's network: until it overfits."""

_ROUNDS = 60


class Compared(NamedTuple):
    """Results with one seed.

    Attributes:
        together: NLL of the test lines of each locale under the model with labels, in nats per character.
        apart: The same under the model of the locale.
        characters: Predicted characters of the test lines of each locale.
        quality: Of the model with labels as a classifier.
        seconds: CPU seconds to train the model with labels.
        others: Quality of the other classifiers, by name.
    """

    together: list[float]
    apart: list[float]
    characters: list[int]
    quality: Quality
    seconds: float
    others: dict[str, Quality]


def fit(path: Path | str, config: str, seed: int, **options: Any) -> LanguageModel:
    """Train a shipped configuration in this process, with a seed for the split and for training."""
    with tempfile.TemporaryDirectory() as root, redirect_stderr(io.StringIO()):
        return sequentia.fit(
            path,
            config=CONFIGS / f"{config}.yaml",
            data__seed=seed,
            seed_everything=seed,
            default_root_dir=f"{root}/{ROOT}",
            accelerator="cpu",
            extra_metrics=False,
            **options,
        )


def write_pairs(path: Path, labels: int | None = None) -> str:
    """Write the last names as a table, with their locales; or with so many labels at random."""
    rng = np.random.default_rng(0)
    pairs = [(locale if labels is None else str(rng.integers(labels)), name) for locale, name in last_names()]
    path.write_text("name,locale\n" + "".join(f'"{name}",{label}\n' for label, name in pairs), "utf-8")
    return str(path)


def examples(data: CharDataModule) -> list[Examples]:
    """Training, validation and test lines."""
    V = len(data.vocabulary)
    return [
        Examples([data.corpus.line(i) for i in lines.tolist()], data.corpus.starts(lines).astype(np.int64) - V)
        for lines in (data.split.train, data.split.val, data.split.test)
    ]


def of_label(lines: Examples, label: int) -> list[str]:
    """The lines with the label of this index."""
    return [text for text, own in zip(lines.texts, lines.labels.tolist(), strict=True) if own == label]


def compare(config: str, seed: int, options: dict[str, Any]) -> Compared:
    """Train one model with labels, and one on the lines of each locale, all with the same split and vocabulary."""
    with tempfile.TemporaryDirectory() as directory:
        path = write_pairs(Path(directory) / "names.csv")
        start = time.process_time()
        model = fit(path, config, seed, data__label="locale", **options)
        seconds = time.process_time() - start
        data = CharDataModule(path, label="locale", seed=seed)
        train, val, test = examples(data)
        everything = Path(directory) / "all.txt"
        everything.write_text("".join(f"{name}\n" for _, name in last_names()), "utf-8")
        together, apart, characters = [], [], []
        for index, label in enumerate(data.vocabulary.labels):
            files = []
            for part, examples_of in (("train", train), ("val", val)):
                files.append(Path(directory) / f"{label}_{part}.txt")
                files[-1].write_text("".join(f"{text}\n" for text in of_label(examples_of, index)), "utf-8")
            texts = of_label(test, index)
            characters.append(sum(len(text) + 1 for text in texts))
            together.append(sum(score.nll for score in model.score(texts, label)) / characters[-1])
            # The test lines of a run add their characters to the vocabulary, and nothing else.
            held_out = {"data__val_path": str(files[1]), "data__test_path": str(everything)}
            alone = fit(files[0], config, seed, **held_out, **options)
            apart.append(sum(score.nll for score in alone.score(texts)) / characters[-1])
    by_label = [dict(sorted(found.items())) for found in model.classify(test.texts)]
    probabilities = np.array([list(found.values()) for found in by_label])
    others = {}
    if config == MODELS[0]:
        others = {
            BAYES: bayes(train, val, test),
            NETWORK: recurrent(train, val, test, data.vocabulary, NETWORK_SECONDS, seed),
        }
    result = Compared(together, apart, characters, quality(probabilities, test.labels), seconds, others)
    print(f"{config} {seed}: {result}", file=sys.stderr, flush=True)  # at once, because the tables take long
    return result


def mean_nll(nlls: list[float], characters: list[int]) -> float:
    """NLL per character of all lines."""
    return float(np.average(nlls, weights=characters))


NO_LABELS, FIRST_CHARACTER, AT_START, UNMIXED, SHIPPED = (
    *("no labels", "label as the first character of the line", "label's embedding at the start only"),
    *("label kept in the back-off, without a part that ignores it", "as shipped"),
)
COUNTED = (NO_LABELS, UNMIXED, SHIPPED)
LAST, RANDOM, PACKAGED = "last names, locale", "last names, 5 labels at random", "packaged names, sex"
ATTEMPTS = (
    *((LAST, "ngram", None, how) for how in (NO_LABELS, FIRST_CHARACTER, UNMIXED, SHIPPED)),
    *((RANDOM, "ngram", None, how) for how in COUNTED),
    *((PACKAGED, "ngram", None, how) for how in COUNTED),
    *(
        (LAST, config, steps, how)
        for config, steps in (("cnn", 500), ("mlp", 1000))
        for how in (NO_LABELS, AT_START, SHIPPED)
    ),
)
"""Data and labels, configuration, steps, and how the model reads labels."""


def changed(how: str, config: str) -> AbstractContextManager[Any]:
    """Replaces the function that makes the difference to the shipped model."""
    if how == AT_START:
        return patch(f"sequentia.models.{config}.starts", lambda context, position: torch.zeros_like(context))
    if how == UNMIXED:
        return patch.object(KneserNey, "choose_part", lambda *_: None)
    return nullcontext()


def attempt(source: str, config: str, steps: int | None, how: str) -> float:
    """Train with one seed; returns the test NLL of the lines given their labels."""
    with tempfile.TemporaryDirectory() as directory, changed(how, config):
        path, column = "names", "sex"
        if source != PACKAGED:
            path, column = write_pairs(Path(directory) / "names.csv", 5 if source == RANDOM else None), "locale"
        if how == FIRST_CHARACTER:
            return first_character(Path(directory), examples(CharDataModule(path, label=column)))
        label = None if how == NO_LABELS else column
        options = {"max_steps": steps} if steps else {}
        model = fit(path, config, 0, data__column="name", data__label=label, **options)
        data = CharDataModule(path, column="name", label=label)
        return nll(model, data.corpus, data.split.test)


def first_character(directory: Path, parts: list[Examples]) -> float:
    """Test NLL of an n-gram model of lines that begin with a character for the label, which is not counted."""
    marked = [
        [chr(0xE000 + label) + text for text, label in zip(part.texts, part.labels.tolist(), strict=True)]
        for part in parts
    ]
    files = [directory / f"{name}.txt" for name in ("train", "val", "test")]
    for file, lines in zip(files, marked, strict=True):
        file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    model = fit(files[0], "ngram", 0, data__val_path=str(files[1]), data__test_path=str(files[2]))
    return -float(np.concatenate([score.log_probs[1:] for score in model.score(marked[2])]).mean())


def step_ratios(name: str, rounds: int) -> list[float]:
    """CPU time of a step with labels, as multiples of that of a step without, taken in turn on the same lines."""
    with tempfile.TemporaryDirectory() as directory:
        path = write_pairs(Path(directory) / "names.csv")
        sides = []
        for label in ("locale", None):
            data = CharDataModule(path, column="name", label=label)
            torch.manual_seed(0)
            model = ARCHITECTURES[name].for_data(data)
            optimizer = model.optimizer(model.parameter_groups())
            sides.append((model, optimizer, list(islice(data.train_dataloader(), rounds))))
    ratios: list[float] = []
    for i in range(rounds):
        seconds = []
        for model, optimizer, batches in sides:
            start = time.process_time()
            optimizer.zero_grad()
            model.training_loss(batches[i]).backward()
            optimizer.step()
            seconds.append(time.process_time() - start)
        ratios.append(seconds[0] / seconds[1])
    return ratios[rounds // 10 :]  # the first rounds warm up


def run(quick: bool) -> str:
    """Train with each seed, as many runs at a time as there are cores, on one thread each; returns the tables."""
    seeds = range(1 if quick else SEEDS)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        options = {"ngram": {}, "cnn": {"max_steps": 20} if quick else {}}
        compared = {
            config: [pool.submit(compare, config, seed, options[config]) for seed in seeds] for config in MODELS
        }
        attempts = [
            pool.submit(attempt, source, config, 20 if steps and quick else steps, how)
            for source, config, steps, how in ATTEMPTS
        ]
        networks = [name for name, model in ARCHITECTURES.items() if not issubclass(model, Counting | Mixture)]
        ratios = {name: pool.submit(step_ratios, name, 20 if quick else _ROUNDS) for name in networks}
        results = {config: [job.result() for job in jobs] for config, jobs in compared.items()}
        tables = [models_table(results), classifiers_table(results)]
        tried = Table("data, labels", "config", "steps", "how the label is read", "test NLL")
        for (source, config, steps, how), job in zip(ATTEMPTS, attempts, strict=True):
            tried.add(source, config, f"{steps:,}" if steps else "one epoch", how, f"{job.result():.3f}")
        cost = Table("architecture", "step with labels / without", "quartiles")
        for name, measured in ratios.items():
            low, median, high = statistics.quantiles(measured.result(), n=4)
            cost.add(name, f"{median:.2f}", f"{low:.2f} to {high:.2f}")
    return "## Labels\n\n" + "\n\n".join(map(str, (*tables, cost, tried))) + "\n"


def models_table(results: dict[str, list[Compared]]) -> Table:
    """One model with labels, against a model of each locale."""
    table = Table(
        *("config", "seeds", "test NLL of one model with labels", "of a model per locale", "lower with"),
        "locales with a lower mean",
    )
    for config, runs in results.items():
        together = [mean_nll(run.together, run.characters) for run in runs]
        apart = [mean_nll(run.apart, run.characters) for run in runs]
        lower = np.less(*(np.mean([getattr(run, side) for run in runs], 0) for side in ("together", "apart")))
        table.add(
            *(config, len(runs), mean_and_deviation(together), mean_and_deviation(apart)),
            f"{sum(map(float.__lt__, together, apart))} of {len(runs)} seeds",
            f"{lower.sum()} of {len(lower)}",
        )
    return table


def classifiers_table(results: dict[str, list[Compared]]) -> Table:
    """`classify`, against other classifiers of the same lines."""
    table = Table("classifier", "seeds", "test accuracy", "test log loss", "CPU seconds to train")
    others = [run.others for run in results[MODELS[0]]]
    seconds_of = {BAYES: "", NETWORK: f"{NETWORK_SECONDS}"}
    rows = {name: ([each[name] for each in others], seconds) for name, seconds in seconds_of.items()}
    for config, runs in results.items():
        seconds = f"{statistics.median(run.seconds for run in runs):.0f}"
        rows[f"classify, {config}"] = [run.quality for run in runs], seconds
    for name, (found, seconds) in rows.items():
        accuracy, log_loss = (mean_and_deviation(list(values)) for values in zip(*found, strict=True))
        table.add(name, len(found), accuracy, log_loss, seconds)
    return table
