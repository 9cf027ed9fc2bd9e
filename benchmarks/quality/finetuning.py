"""Fine-tuning: 200 place names, from the weights of a model of first names and from scratch, with the same steps."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.commands import fit
from benchmarks.quality.datasets import regions
from benchmarks.quality.quality import SEEDS
from benchmarks.report import Table
from sequentia.runs.history import read_history

_LINES, _HELD_OUT, _NAMES_STEPS = 200, 500, 600

SETS: dict[str, tuple[Callable[[str], bool], Callable[[str], str]]] = {
    "one word of a-z, in lower case": (lambda name: name.isascii() and name.isalpha(), str.lower),
    "words of a-z, in lower case": (lambda name: name.isascii() and name.replace(" ", "").isalpha(), str.lower),
    "words of a-z": (lambda name: name.isascii() and name.replace(" ", "").isalpha(), str),
    "any": (lambda name: True, str),
}
"""Description -> which regions of the world are used, and how they are spelled."""


def best(directory: Path, *options: str) -> float:
    """Lowest validation NLL of a run of the default length."""
    directory.mkdir()
    return min(read_history(fit(directory, "transformer", *options))["val/loss"].values())


def run(quick: bool) -> str:
    """Train from both starts with each seed; returns the table."""
    table = Table("place names", "characters", "of which new", "seeds", "from scratch", "fine-tuned", "lower with")
    seeds = range(1 if quick else SEEDS)
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home)
        names = fit(directory, "transformer", f"--trainer.max_steps={20 if quick else _NAMES_STEPS}")
        for number, (description, (used, spell)) in enumerate(SETS.items()):
            lines = list(dict.fromkeys(spell(name) for name in regions().lines if used(name)))
            lines = [lines[i] for i in np.random.default_rng(1).permutation(len(lines))]
            train, val = directory / f"{number}_train.txt", directory / f"{number}_val.txt"
            train.write_text("\n".join(lines[:_LINES]) + "\n", encoding="utf-8")
            val.write_text("\n".join(lines[_LINES : _LINES + _HELD_OUT]) + "\n", encoding="utf-8")
            pairs = []
            for seed in seeds:
                options = [f"--data.path={train}", f"--data.val_path={val}", f"--data.seed={seed}"]
                options.append(f"--seed_everything={seed}")
                tuned = best(directory / f"{number}_{seed}_tuned", *options, f"--init_from={names}")
                pairs.append((best(directory / f"{number}_{seed}_scratch", *options), tuned))
            characters = set("".join(lines[: _LINES + _HELD_OUT]))
            scratches, tuneds = zip(*pairs, strict=True)
            table.add(
                *(description, len(characters), sum(not "a" <= c <= "z" for c in characters), len(seeds)),
                *(f"{statistics.mean(scratches):.3f}", f"{statistics.mean(tuneds):.3f}"),
                f"{sum(tuned < scratch for scratch, tuned in pairs)} of {len(seeds)} seeds",
            )
    return f"## Fine-tuning\n\n{table}\n"
