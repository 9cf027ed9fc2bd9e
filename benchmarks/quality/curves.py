"""The validation NLL in the course of training, for the charts of the tutorial."""

import tempfile
from pathlib import Path

from benchmarks.commands import architectures, fit
from benchmarks.report import Table
from sequentia.models import ARCHITECTURES
from sequentia.models.counting import Counting
from sequentia.runs.history import read_history

STEPS = (50, 100, 150, 200, 300, 400, 600, 800, 1_200, 1_600, 2_000, 2_400, 2_800)
"""Up to the default length of a run on the packaged names."""

FILE = Path(__file__).parents[2] / "docs" / "tutorial" / "curves.py"
_HEAD = '"""Validation NLLs after STEPS, or once if the model counts; written by `python -m benchmarks curves`."""\n\n'


def curve(directory: Path, config: str, architecture: str, last: int) -> list[float]:
    """The validation NLL at each of `STEPS`; a model that counts has a single value.

    The length is given, as the default of a mixture is a time; that of all others is the same number of steps.
    """
    options = [f"--trainer.max_steps={last}", f"--trainer.val_check_interval={STEPS[0]}"]
    counts = issubclass(ARCHITECTURES[architecture], Counting)
    losses = read_history(fit(directory, config, *([] if counts else options), threads=1))["val/loss"]
    return list(losses.values()) if counts else [losses[step - 1] for step in STEPS if step <= last]


def source(curves: dict[str, list[float]]) -> str:
    """A Python file, because a page of the tutorial that is downloaded must contain the numbers."""
    rows = "".join(f'    "{name}": [{", ".join(f"{value:.3f}" for value in nlls)}],\n' for name, nlls in curves.items())
    return f"{_HEAD}STEPS = {list(STEPS)}\nCURVES = {{\n{rows}}}\n"


def run(quick: bool) -> str:
    """Train each shipped configuration on the packaged names, one core each; returns the table, and writes the file."""
    last = STEPS[1 if quick else -1]
    table = Table("config", *(f"step {step:,}" for step in STEPS if step <= last))
    curves = {}
    with tempfile.TemporaryDirectory() as directory:
        for config, architecture in architectures().items():
            curves[config] = curve(Path(directory), config, architecture, last)
            table.add(config, *(f"{value:.3f}" for value in curves[config]))
    if not quick:
        FILE.write_text(source(curves))
    return f"## Curves\n\n{table}\n"
