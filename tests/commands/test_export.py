"""`sequentia export` writes complete output or none, and overwrites nothing."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.models import Bigram, Mixture, Transformer

Command = Callable[..., Any]

FILES = {
    "gpt2": [
        "out",
        *(f"out/{name}" for name in ("README.md", "config.json", "generation_config.json")),
        *(f"out/{name}" for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json")),
    ],
    "onnx": ["out", "out.json", "out.step.onnx"],
    "html": ["out"],
}
"""What each format writes."""


@pytest.fixture
def run(save_run: Callable[..., Path]) -> Path:
    return save_run(Transformer("ab", 4, n_layer=1, n_head=1, n_embd=4))


@pytest.mark.parametrize("form", FILES)
def test_each_format_writes_its_files_and_others_may_read_them_if_the_umask_lets_them(
    command: Command, run: Path, tmp_path: Path, form: str
) -> None:
    before = os.umask(0o022)
    try:
        said = f"wrote {tmp_path}/out: Transformer with 280 parameters, from {run}/best.ckpt\n"
        assert command("export", "--ckpt_path", run, "--format", form, tmp_path / "out") == (0, "", said)
    finally:
        os.umask(before)
    written = sorted([*tmp_path.glob("out*"), *tmp_path.glob("out/*")])
    assert [str(path.relative_to(tmp_path)) for path in written] == FILES[form]
    for path in written:
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_a_directory_for_transformers_is_pushed_to_the_hub(
    command: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[object] = []

    class Hub:
        def create_repo(self, repo: str, exist_ok: bool) -> str:
            return f"https://hub/{repo}"

        def upload_folder(self, repo_id: str, folder_path: Path) -> None:
            if repo_id == "not/mine":
                raise OSError("403")
            pushed.append((repo_id, sorted(path.name for path in folder_path.iterdir())))

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    export = "export", "--ckpt_path", run, "--format"
    code, _, err = command(*export, "gpt2", "--push", "me/names", tmp_path / "out")
    assert code == 0
    assert err.endswith("\npushed to https://hub/me/names\n")
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert pushed == [("me/names", files)]
    refused = command(*export, "gpt2", "--push", "not/mine", tmp_path / "other")
    assert refused.code == 2
    assert "to not/mine: 403; `hf auth login` logs you in" in refused.err
    assert command(*export, "html", "--push", "me/names", tmp_path / "x.html").code == 2


class TestErrors:
    def check(self, command: Command, message: str, *arguments: object) -> None:
        """Check that the command writes nothing but one line with `message` to stderr, and ends with exit code 2."""
        ended = command("export", *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("sequentia: ")
        assert message in ended.err
        assert ended.err.count("\n") == 1

    @pytest.mark.parametrize("form", ["gpt2", "onnx", "html"])
    def test_nothing_is_overwritten(self, command: Command, run: Path, tmp_path: Path, form: str) -> None:
        (tmp_path / "file").write_text("untouched")
        (tmp_path / "directory").mkdir()
        for name in ("file", "directory"):
            self.check(command, f"{name} exists already", "--ckpt_path", run, "--format", form, tmp_path / name)
        assert (tmp_path / "file").read_text() == "untouched"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["directory", "file", run.name]

    @pytest.mark.parametrize("name", ["out.step.onnx", "out.json"])
    def test_no_file_beside_the_onnx_file_is_overwritten(
        self, command: Command, run: Path, tmp_path: Path, name: str
    ) -> None:
        (tmp_path / name).write_text("untouched")
        self.check(command, f"{name} exists", "--ckpt_path", run, "--format", "onnx", tmp_path / "out.onnx")
        assert sorted(path.name for path in tmp_path.iterdir()) == [name, run.name]
        assert (tmp_path / name).read_text() == "untouched"

    def test_gpt2_requires_a_transformer(self, command: Command, save_run: Callable[..., Path], tmp_path: Path) -> None:
        mixture = Mixture("ab", 4, [{"architecture": "Transformer", "n_embd": 4}, {"architecture": "NGram"}])
        for model in (Bigram("ab", 4), mixture):
            run = save_run(model)
            message = f"needs a Transformer, got a model of class {type(model).__name__}"
            self.check(command, message, "--ckpt_path", run, "--format", "gpt2", tmp_path / "out")

    @pytest.mark.parametrize(("form", "module"), [("gpt2", "safetensors.torch"), ("onnx", "onnx")])
    def test_a_missing_package_is_named_with_the_command_that_installs_it(
        self, command: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, module: str
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        message = f"needs the package {module.partition('.')[0]}: pip install 'sequentia-lm[export]'"
        self.check(command, message, "--ckpt_path", run, "--format", form, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == [run.name]

    @pytest.mark.parametrize("form", ["gpt2", "onnx", "html"])
    def test_a_full_disk_leaves_no_files(
        self, command: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        def fail(*arguments: object, **options: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pathlib.Path.write_text", fail)  # the last that each format writes
        self.check(command, "No space left on device", "--ckpt_path", run, "--format", form, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == [run.name]
