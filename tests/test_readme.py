"""The README is true: what it names is there, what is there it names, and its commands run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sequentia.cli import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?m)(?:^    .+\n)+", README)
"""Indented blocks: commands, and one of Python."""

COMMAND_LINES = [line.strip() for block in BLOCKS for line in block.splitlines() if "sequentia " in line]


def tree() -> list[Path]:
    """Paths that the README's file tree names."""
    (block,) = re.findall(r"```\n(.*?)```", README, re.DOTALL)
    found: list[Path] = []
    parents: list[str] = []
    for line in block.splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()  # type: ignore[union-attr]
        parents = [*parents[: len(indent) // 4], name]
        found.append(Path(*parents))
    return found


def test_the_tree_names_what_is_there() -> None:
    for path in tree():
        assert (ROOT / path).exists(), path


def test_the_tree_names_every_module_of_the_package() -> None:
    named = set(tree())
    whole = {Path("sequentia/commands"), Path("sequentia/datasets")}  # told as one
    for path in (ROOT / "sequentia").rglob("*.py"):
        relative = path.relative_to(ROOT)
        if not path.stem.startswith("__") and relative.parent not in whole:
            assert relative in named, relative


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_the_table_of_commands_is_whole() -> None:
    for command in COMMANDS:
        assert f"`sequentia {command}" in README


def test_the_first_two_commands_are_those_promised() -> None:
    assert COMMAND_LINES[0] == "pip install . && sequentia fit --config configs/transformer.yaml"
    assert "    pip install '.[dev]' && pytest\n" in README
    assert "pip install --quiet --disable-pip-version-check '.[dev]'\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("line", [line for line in COMMAND_LINES if line.startswith(("sequentia", "pip"))])
def test_every_command_runs(line: str, trained: Path, tmp_path: Path) -> None:
    """Shortened by further options, and on the data and the model at hand."""
    arguments = shlex.split(line.rpartition("&& ")[2])[1:]
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "brands.txt").write_text("Akemi\nAkzo\nBosch\nAkai\n" * 5)
    if arguments[0] == "fit":
        arguments += ["--trainer.max_steps", "2", "--trainer.accelerator", "cpu", "--model.n_layer", "1"]
    else:
        prompt = ["--prompt", "em"] if "--prompt" in arguments else []  # that model never saw a brand
        arguments += ["--ckpt_path", str(trained), "--num_samples", "3", *prompt]
    command = [sys.executable, "-m", "sequentia", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_python_lines_run(trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "import" in block]
    (tmp_path / "checkpoints" / "transformer").mkdir(parents=True)
    (tmp_path / "checkpoints" / "transformer" / "version_0").symlink_to(trained)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec("".join(line.strip() + "\n" for line in block.splitlines()), names)
    assert type(names["model"]).__name__ == "Bigram"
