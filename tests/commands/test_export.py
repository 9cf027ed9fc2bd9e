"""`sequentia export` writes complete output or none, and overwrites nothing."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.models import Bigram, Transformer

Command = Callable[..., Any]

GPT2_FILES = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
]


@pytest.fixture
def run(save_run: Callable[..., Path]) -> Path:
    return save_run(Transformer("ab", 4, n_layer=1, n_head=1, n_embd=4))


def test_gpt2_writes_a_directory_and_nothing_to_stdout(command: Command, run: Path, tmp_path: Path) -> None:
    assert command("export", "--ckpt_path", run, "--format", "gpt2", tmp_path / "out") == (0, "", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == GPT2_FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", run.name]


def test_onnx_writes_a_file_and_nothing_to_stdout(command: Command, run: Path, tmp_path: Path) -> None:
    assert command("export", "--ckpt_path", run, "--format", "onnx", tmp_path / "out.onnx") == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.onnx", run.name]


def test_gpt2_fills_an_empty_directory(command: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert command("export", "--ckpt_path", run, "--format", "gpt2", tmp_path / "out").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == GPT2_FILES


class TestErrors:
    def check(self, command: Command, message: str, *arguments: object) -> None:
        """Check that the command writes nothing but one line with `message` to stderr, and ends with exit code 2."""
        ended = command("export", *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("sequentia: ")
        assert message in ended.err
        assert ended.err.count("\n") == 1

    @pytest.mark.parametrize("form", ["gpt2", "onnx"])
    def test_nothing_is_overwritten(self, command: Command, run: Path, tmp_path: Path, form: str) -> None:
        (tmp_path / "file").write_text("untouched")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "file").write_text("untouched")
        self.check(command, "file exists already", "--ckpt_path", run, "--format", form, tmp_path / "file")
        full = "full is not empty" if form == "gpt2" else "full is a directory"
        self.check(command, full, "--ckpt_path", run, "--format", form, tmp_path / "full")
        assert (tmp_path / "file").read_text() == (tmp_path / "full" / "file").read_text() == "untouched"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full", run.name]

    def test_onnx_does_not_write_to_a_directory(self, command: Command, run: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        self.check(command, "is a directory", "--ckpt_path", run, "--format", "onnx", tmp_path / "out")

    def test_the_parent_directory_must_exist(self, command: Command, run: Path, tmp_path: Path) -> None:
        self.check(command, "no directory", "--ckpt_path", run, "--format", "onnx", tmp_path / "a" / "out")

    def test_gpt2_requires_a_transformer(self, command: Command, save_run: Callable[..., Path], tmp_path: Path) -> None:
        run = save_run(Bigram("ab", 4))
        self.check(command, "this model is a Bigram", "--ckpt_path", run, "--format", "gpt2", tmp_path / "out")

    def test_the_format_must_be_known(self, command: Command, run: Path, tmp_path: Path) -> None:
        self.check(command, "invalid choice: 'gguf'", "--ckpt_path", run, "--format", "gguf", tmp_path / "out")

    @pytest.mark.parametrize(("form", "module"), [("gpt2", "safetensors.torch"), ("onnx", "onnx")])
    def test_a_missing_package_is_named_with_the_command_that_installs_it(
        self, command: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, module: str
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        message = f"needs the package {module.partition('.')[0]}: pip install 'sequentia-lm[export]'"
        self.check(command, message, "--ckpt_path", run, "--format", form, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == [run.name]

    @pytest.mark.parametrize(("form", "function"), [("gpt2", "safetensors.torch.save_file"), ("onnx", "onnx.save")])
    def test_a_full_disk_leaves_no_files(
        self, command: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, function: str
    ) -> None:
        def fail(*arguments: object, **options: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(function, fail)
        self.check(command, "No space left on device", "--ckpt_path", run, "--format", form, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == [run.name]
