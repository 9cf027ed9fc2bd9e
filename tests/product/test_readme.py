"""The README is true, its links and its commands work, and the tree in CONTRIBUTING.md is complete."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from sequentia.cli import COMMANDS
from tests.conftest import CommandResult

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?m)(?:^    .+\n)+", README)
"""Indented blocks: commands, and one of Python code."""

COMMAND_LINES = [
    line.strip() for block in BLOCKS for line in block.splitlines() if re.search(r"\bsequentia [a-z]", line)
]


def tree() -> list[Path]:
    """Paths that the file tree in CONTRIBUTING.md names."""
    (block,) = re.findall(r"```\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    found: list[Path] = []
    parents: list[str] = []
    for line in block.splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()  # type: ignore[union-attr]
        parents = [*parents[: len(indent) // 4], name]
        found.append(Path(*parents))
    return found


def test_every_file_in_the_tree_exists() -> None:
    for path in tree():
        assert (ROOT / path).exists(), path


def test_the_tree_has_every_folder_and_loose_module_of_the_package() -> None:
    package = ROOT / "sequentia"
    folders = {path.parent for path in package.rglob("*.py")} - {package}
    modules = {path for path in package.glob("*.py") if not path.stem.startswith("__")}
    assert {path.relative_to(ROOT) for path in folders | modules} - set(tree()) == {Path("sequentia/models/parts")}


def test_every_local_link_has_a_target() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_the_table_of_commands_is_complete() -> None:
    for command in COMMANDS:
        assert f"`sequentia {command}" in README


def test_the_two_commands_of_the_quick_start_are_unchanged() -> None:
    assert COMMAND_LINES[0] == "pip install . && sequentia fit --config configs/transformer.yaml"
    assert "    pip install '.[dev]' && pytest\n" in README
    assert re.search(r"install .*'\.\[dev\b(?s:.*)\npytest\n", (ROOT / ".ci" / "run").read_text())


@pytest.mark.parametrize("line", [line for line in COMMAND_LINES if line.startswith(("sequentia", "pip"))])
def test_every_command_runs(
    line: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., CommandResult]
) -> None:
    """Shortened by more options, on small data and a small model."""
    arguments = shlex.split(line.rpartition("&& ")[2])[1:]
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "more").mkdir()
    for path in ("brands.txt", "more/brands.txt"):
        (tmp_path / path).write_text("Akemi\nAkzo\nBosch\nAkai\n" * 5)
    (tmp_path / "brands.csv").write_text("name,country\n" + "Akemi,JP\nAkzo,NL\nBosch,DE\nAkai,JP\n" * 5)
    if arguments[0] == "fit":
        arguments += ["--trainer.max_steps", "2", "--trainer.accelerator", "cpu", "--model.n_layer", "1"]
        if "--init_from" in arguments:  # the run that it names
            monkeypatch.chdir(tmp_path)
            at = arguments.index("--init_from")
            assert command(*arguments[:at], *arguments[at + 2 :]).code == 0
    elif arguments[0] == "test":  # the data and half of the lines of that model
        arguments += ["--data.path", str(trained.parent / "names.txt"), "--data.test_fraction", "0.5"]
        arguments += ["--ckpt_path", str(trained), "--trainer.accelerator", "cpu"]
    else:
        arguments = ["em" if argument == "Ak" else argument for argument in arguments]  # the model knows no brands
        arguments += ["--ckpt_path", str(trained), "--num_samples", "3"]
    monkeypatch.chdir(tmp_path)
    result = command(*arguments)
    assert result.code == 0, result.err
    if arguments[0] == "sample":
        assert 1 <= len(result.out.splitlines()) <= 3


@pytest.mark.filterwarnings("ignore:.*")  # Lightning's advice about its own defaults
def test_the_python_lines_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With fewer steps."""
    monkeypatch.chdir(tmp_path)
    Path("brands.txt").write_text("Akemi\nAkzo\nBosch\nAkai\n" * 5)
    names: dict[str, object] = {}
    for block in (block for block in BLOCKS if re.match(" +(import|from) ", block)):
        exec("".join(line.strip() + "\n" for line in block.splitlines()).replace("300", "2"), names)
    assert [type(names[name]).__name__ for name in ("model", "counted")] == ["GRU", "BigramCounts"]
