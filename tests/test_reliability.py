"""docs/reliability.md counts what the tests try."""

from pathlib import Path

import pytest

from tests import test_archive as archive
from tests.data import test_corpus as corpus
from tests.test_checkpoint import ATTACKS, COMMANDS, CONFIG_ATTACKS, TRAINING_STATE
from tests.test_mistakes import MISTAKES
from tests.test_options import QUICK, THOROUGH
from tests.training.runs import SETTINGS
from tests.training.test_kill_and_resume import POINTS, RANDOM_KILLS
from tests.training.test_resume_exactly import CASES, SLOW_CASES

ROWS = (Path(__file__).parents[1] / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("row", "cases"),
    [
        ("killed at fixed points", f"{len(POINTS)} runs; one separate process with `-m slow`"),
        (
            "resumed with other",
            f"{len(CASES)} runs; {len(SLOW_CASES)} more, and each killed at 2 points, with `-m slow`",
        ),
        ("killed at random points", f"{RANDOM_KILLS} runs in {len(SETTINGS)} settings"),
        (
            "attacks",
            f"{len(ATTACKS)} on each of {len(COMMANDS)} commands, {len(TRAINING_STATE)} on the training state, "
            f"{len(CONFIG_ATTACKS)} on config.yaml",
        ),
        ("damaged checkpoints", f"{archive.FEW}; {archive.MANY:,} with `-m slow`"),
        ("memory and time", f"{archive.FORGED}"),
        ("data files", f"{corpus.FEW.max_examples}; {corpus.MANY.max_examples:,} with `-m slow`"),
        ("mistakes", f"{len(MISTAKES)}"),
        ("any options", f"{QUICK.max_examples} command lines; {THOROUGH.max_examples:,} with `-m slow`"),
    ],
)
def test_the_document_counts_the_cases(row: str, cases: str) -> None:
    (line,) = [line for line in ROWS if line.startswith(f"| {row}")]
    assert line.split("|")[2].strip() == cases
