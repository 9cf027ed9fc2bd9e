"""The shipped transformer on data that it was not tuned on, with nothing changed but `--data.path`."""

import tempfile
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.architectures import CONFIGS, sequentia
from benchmarks.datasets import DATASETS, Data
from benchmarks.report import Table
from sequentia.data import CharDataModule


def curve(run: Path) -> list[tuple[int, float]]:
    """Steps done at each validation, and its NLL."""
    events = EventAccumulator(str(run)).Reload()
    return [(event.step + 1, event.value) for event in events.Scalars("val/loss")]


def at(share: float, points: list[tuple[int, float]]) -> str:
    """NLL at the validation nearest to a share of the run."""
    wanted = share * points[-1][0]
    return f"{min(points, key=lambda point: abs(point[0] - wanted))[1]:.3f}"


def fit(directory: str, config: str, path: Path, *options: str) -> Path:
    """Train on `path` as the configuration is shipped; returns the run."""
    sequentia(directory, "fit", f"--config={CONFIGS}/{config}.yaml", f"--data.path={path}", *options)
    return Path(directory) / "checkpoints" / config / "version_0"


def source(data: Data, path: Path) -> str:
    """What the source of drawn data itself reaches on the validation lines: nothing can reach less but by chance."""
    if data.costs is None:
        return ""
    module = CharDataModule(str(path))
    lines = module.split.val
    return f"{data.costs[lines].sum() / module.corpus.predicted(lines).sum():.3f}"


def run(quick: bool) -> str:
    """Train on each data set; returns the table."""
    table = Table(
        *("data", "lines", "characters", "longest", "source's NLL", "bigram's NLL", "steps"),
        *("validation NLL after a quarter", "half", "all steps", "best", "seconds"),
    )
    for make in DATASETS:
        data = make()
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / f"{make.__name__}.txt"
            path.write_text("\n".join(data.lines) + "\n", encoding="utf-8")
            ((_, bigram),) = curve(fit(directory, "bigram_counts", path))
            start = time.perf_counter()
            done = curve(fit(directory, "transformer", path, *(["--trainer.max_steps=20"] if quick else [])))
            seconds = time.perf_counter() - start
            least = source(data, path)
        table.add(
            *(make.__name__, f"{len(data.lines):,}", len(set("".join(data.lines))), max(map(len, data.lines))),
            *(least, f"{bigram:.3f}", f"{done[-1][0]:,}"),
            *(at(share, done) for share in (0.25, 0.5, 1)),
            *(f"{min(nll for _, nll in done):.3f}", f"{seconds:.0f}"),
        )
    return f"## Other data\n\n{table}\n"
