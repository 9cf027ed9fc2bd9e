"""The device that a run trains on."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from sequentia.cli import main


def test_apples_gpu_is_never_the_default(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    root = f"--trainer.default_root_dir={tmp_path / 'root'}"
    command = ["fit", "--model", "Bigram", "--data.path", write(["ab", "ba", "b"]), root]
    command += ["--data.val_fraction=0", "--data.test_fraction=0", "--trainer.max_steps=1"]
    assert main(command) == 0
    config = yaml.safe_load((tmp_path / "root" / "version_0" / "config.yaml").read_text())
    assert config["trainer"]["accelerator"] == "cpu"
