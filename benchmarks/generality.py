"""The shipped transformer, n-gram and mixture on data that they were not tuned on, with no option but `--data.path`."""

import tempfile
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.architectures import CONFIGS, sequentia
from benchmarks.datasets import DATASETS, Data
from benchmarks.report import Table
from sequentia.data import CharDataModule


def curve(run_dir: Path) -> list[tuple[int, float]]:
    """Number of steps and NLL at each validation."""
    events = EventAccumulator(str(run_dir)).Reload()
    return [(event.step + 1, event.value) for event in events.Scalars("val/loss")]


def nll_at(fraction: float, points: list[tuple[int, float]]) -> str:
    """NLL of the validation closest to a fraction of the run."""
    step = fraction * points[-1][0]
    return f"{min(points, key=lambda point: abs(point[0] - step))[1]:.3f}"


def fit(directory: str, config: str, *options: str) -> Path:
    """Train a shipped configuration; returns the run directory."""
    sequentia(directory, "fit", f"--config={CONFIGS}/{config}.yaml", *options)
    return Path(directory) / "checkpoints" / config / "version_0"


def source_nll(data: Data, path: Path) -> str:
    """NLL per character of the validation lines under their source: a lower bound, up to sampling noise."""
    if data.nll is None:
        return ""
    module = CharDataModule(str(path))
    lines = module.split.val
    return f"{data.nll[lines].sum() / module.corpus.num_targets(lines).sum():.3f}"


def run(quick: bool) -> str:
    """Train on each dataset; returns the table."""
    table = Table(
        *("data", "lines", "distinct characters", "longest line"),
        *("source NLL", "bigram NLL", "n-gram NLL", "mixture NLL", "steps"),
        *("validation NLL at 25% of the steps", "at 50%", "at 100%", "best", "seconds"),
    )
    for make in DATASETS:
        data = make()
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / f"{make.__name__}.txt"
            path.write_text("\n".join(data.lines) + "\n", encoding="utf-8")
            own = f"--data.path={path}"
            bigram, ngram = (curve(fit(directory, name, own))[-1][1] for name in ("bigram_counts", "ngram"))
            short = ["--trainer.max_steps=20"] if quick else []
            mixture = min(nll for _, nll in curve(fit(directory, "mixture", own, *short)))
            start = time.perf_counter()
            points = curve(fit(directory, "transformer", own, *short))
            seconds = time.perf_counter() - start
            source = source_nll(data, path)
        table.add(
            *(make.__name__, f"{len(data.lines):,}", len(set("".join(data.lines))), max(map(len, data.lines))),
            *(source, f"{bigram:.3f}", f"{ngram:.3f}", f"{mixture:.3f}", f"{points[-1][0]:,}"),
            *(nll_at(fraction, points) for fraction in (0.25, 0.5, 1)),
            *(f"{min(nll for _, nll in points):.3f}", f"{seconds:.0f}"),
        )
    return f"## Other data\n\n{table}\n"
