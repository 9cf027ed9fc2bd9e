"""The commands and code of the guides and of docs/export.md run, in their order, on small data with few steps."""

import re
import shlex
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path

import pytest
import torch

from sequentia.inference.ranks import Ranks
from tests.conftest import CommandResult
from tests.docs.pages import DOCS

GUIDES = sorted(path for path in (DOCS / "guides").glob("*.md") if path.stem != "index")
OTHER_PROGRAMS = {"tensorboard"}
"""Programs in the commands that are not sequentia's: not run, because they would not end."""

NEEDS_RUN = {"sampling.md", "scoring.md", "sharing.md", "export.md"}
"""Guides that begin when a Transformer has been trained."""

BRANDS = [
    f"{start}{end}" for start in ("Ak", "Bo", "Ce", "Du", "Em", "Fo") for end in ("emi", "zo", "sch", "ai", "mma")
]
COUNTRIES = {
    "Italy": [f"{start}{end}" for start in ("ross", "bianc", "ricc", "gall") for end in ("i", "o", "ini", "ato")],
    "Japan": [f"{start}{end}" for start in ("sa", "su", "ta", "mo") for end in ("to", "zuki", "naka", "saki")],
}
DATA = {
    "brands.txt": BRANDS,
    "more/brands.txt": BRANDS,
    "brands.csv": ["name,country", *(f"{brand},JP" for brand in BRANDS)],
    "smiles.txt": ["CCO", "CC(=O)O", "c1ccccc1", "CCN", "CC(C)O", "C1CCCCC1", "CC#N", "OCCO", "CCCl", "CNC"] * 3,
    "proteins.fasta": [
        f">{i}\n{start}{end}" for i, start in enumerate(("MKV", "MAL", "MST")) for end in ("AGIV", "LLP")
    ]
    * 5,
    "passwords.txt": ["123456", "password", "qwerty", "letmein", "dragon", "abc123", "monkey", "sunshine"] * 4,
    "people.csv": ["name,country", *(f"{name},{country}" for country, names in COUNTRIES.items() for name in names)],
    **{f"countries/{country}.txt": names for country, names in COUNTRIES.items()},
    "unknown.txt": ["rosato", "sasaki"],
    "candidates.txt": ["monkey1", "pass123", "drag", "emma"],
    "words.txt": ["წყალი", "მთა", "სახლი", "წიგნი", "პური", "მზე", "ცა", "ხე", "წელი", "თოვლი"] * 3,
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of the fenced blocks that a reader runs: commands and Python."""
    return re.findall(r"(?ms)^```(sh|python)\n(.*?)^```$", page.read_text(encoding="utf-8"))


def shortened(arguments: list[str]) -> list[str]:
    """A command line with few steps on the CPU, and a small Transformer."""
    if arguments[0] == "test":
        return [*arguments, "--trainer.accelerator", "cpu"]
    if arguments[0] != "fit":
        return arguments
    more = ["--trainer.accelerator", "cpu", "--extra_metrics", "false"]
    config = arguments[arguments.index("--config") + 1] if "--config" in arguments else "transformer"
    if config != "ngram" and "--trainer.max_time" not in arguments:
        steps = 2 if "last" not in arguments else 6 if "--trainer.max_steps" in arguments else 4
        more += ["--trainer.max_steps", str(steps)]
    if "--trainer.max_time" in arguments:
        more += ["--trainer.max_time", "00:00:20", "--trainer.max_steps", "2"]
    if config == "transformer" and "--model.n_layer" not in arguments and "last" not in arguments:
        more += ["--model.n_layer", "1"]
    return [*arguments, *more]


@pytest.mark.parametrize("page", [*GUIDES, DOCS / "export.md"], ids=lambda path: path.stem)
def test_the_commands_of_a_guide_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., CommandResult]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(Ranks, "__init__", partialmethod(Ranks.__init__, draws=1_000))  # of 100,000
    for name, lines in DATA.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if page.name in NEEDS_RUN:
        names = ["emma", "olivia", "zoe", "mia", "max", "sebastian"] * 5
        Path("names.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        assert command(*shortened(["fit", "--data.path", "names.txt", "--config", "transformer"])).code == 0
    variables: dict[str, object] = {"__name__": "__main__"}
    for language, text in blocks(page):
        if language == "python":
            if "rdkit" in text:
                pytest.importorskip("rdkit", reason="pip install rdkit")
                Path("smiles.py").write_text(text, encoding="utf-8")
            if "optuna" in text:
                pytest.importorskip("optuna", reason="pip install '.[sweeps]'")
            torch.manual_seed(0)
            exec(re.sub(r"max_steps=\d+", "max_steps=2", text), variables)
            continue
        for whole in text.splitlines():
            line, _, out = whole.partition(" > ")
            program, *arguments = shlex.split(line)
            if program in OTHER_PROGRAMS:
                continue
            assert program == "sequentia", f"{program} is not run"
            result = command(*shortened(arguments))
            assert result.code == 0, f"{line}\n{result.err}"
            if out:
                Path(out).write_text(result.out, encoding="utf-8")
