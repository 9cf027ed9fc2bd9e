"""`sequentia fit` takes options from the environment, too."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import CommandResult


def test_variables_give_options_which_the_command_line_overrides(
    write: Callable[..., str], command: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEQUENTIA_FIT__TRAINER__MAX_STEPS", "2")
    monkeypatch.setenv("SEQUENTIA_FIT__MODEL__N_HIDDEN", "8")
    monkeypatch.setenv("SEQUENTIA_TEST__TRAINER__MAX_STEPS", "3")  # of another command
    path = write(["ab", "ba"] * 20)
    options = ["--config=gru", "--model.n_hidden=4", f"--trainer.default_root_dir={tmp_path}"]
    result = command("fit", path, *options, "--trainer.accelerator=cpu", "--extra_metrics=false")
    assert result.code == 0
    assert "options from the environment: --model.n_hidden=8 --trainer.max_steps=2\n" in result.err
    recorded = yaml.safe_load((tmp_path / "version_0" / "config.yaml").read_text())
    assert recorded["data"]["path"] == path
    assert (recorded["trainer"]["max_steps"], recorded["model"]["init_args"]["n_hidden"]) == (2, 4)
