"""`sequentia export` writes all of its output or nothing, and never over something."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.models import Bigram, Transformer

Command = Callable[..., Any]


@pytest.fixture
def run(save_run: Callable[..., Path]) -> Path:
    return save_run(Transformer("ab", 4, n_layer=1, n_head=1, n_embd=4))


GPT2_FILES = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
]


def test_gpt2_is_a_directory_and_stdout_stays_empty(command: Command, run: Path, tmp_path: Path) -> None:
    assert command("export", "--ckpt_path", run, "--format", "gpt2", tmp_path / "out") == (0, "", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == GPT2_FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", run.name]


def test_onnx_is_a_file_and_stdout_stays_empty(command: Command, run: Path, tmp_path: Path) -> None:
    assert command("export", "--ckpt_path", run, "--format", "onnx", tmp_path / "out.onnx") == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.onnx", run.name]


def test_an_empty_directory_is_filled(command: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert command("export", "--ckpt_path", run, "--format", "gpt2", tmp_path / "out").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == GPT2_FILES


class TestMistakes:
    def refused(self, command: Command, words: str, *arguments: object) -> None:
        ended = command("export", *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert words in ended.err
        assert ended.err.count("\n") == 1

    @pytest.mark.parametrize("form", ["gpt2", "onnx"])
    def test_nothing_is_written_over(self, command: Command, run: Path, tmp_path: Path, form: str) -> None:
        (tmp_path / "file").write_text("mine")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "file").write_text("mine")
        self.refused(command, "file exists already", "--ckpt_path", run, "--format", form, tmp_path / "file")
        self.refused(command, "full is ", "--ckpt_path", run, "--format", form, tmp_path / "full")
        assert (tmp_path / "file").read_text() == (tmp_path / "full" / "file").read_text() == "mine"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full", run.name]

    def test_a_directory_for_onnx(self, command: Command, run: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        self.refused(command, "is a directory", "--ckpt_path", run, "--format", "onnx", tmp_path / "out")

    def test_no_directory_to_write_in(self, command: Command, run: Path, tmp_path: Path) -> None:
        self.refused(command, "no directory", "--ckpt_path", run, "--format", "onnx", tmp_path / "a" / "out")

    def test_gpt2_of_another_architecture(
        self, command: Command, save_run: Callable[..., Path], tmp_path: Path
    ) -> None:
        run = save_run(Bigram("ab", 4))
        self.refused(command, "this model is a Bigram", "--ckpt_path", run, "--format", "gpt2", tmp_path / "out")

    def test_an_unknown_format(self, command: Command, run: Path, tmp_path: Path) -> None:
        self.refused(command, "invalid choice: 'gguf'", "--ckpt_path", run, "--format", "gguf", tmp_path / "out")

    @pytest.mark.parametrize(("form", "module"), [("gpt2", "safetensors.torch"), ("onnx", "onnx")])
    def test_a_package_that_is_not_installed(
        self, command: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, module: str
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        words = f"needs the package {module.partition('.')[0]}: pip install 'sequentia[export]'"
        self.refused(command, words, "--ckpt_path", run, "--format", form, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == [run.name]

    @pytest.mark.parametrize(("form", "function"), [("gpt2", "safetensors.torch.save_file"), ("onnx", "onnx.save")])
    def test_a_full_disk_leaves_nothing_behind(
        self, command: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, function: str
    ) -> None:
        def fail(*arguments: object, **options: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(function, fail)
        self.refused(command, "No space left on device", "--ckpt_path", run, "--format", form, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == [run.name]
