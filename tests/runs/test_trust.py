"""The options that a stranger's run recorded import no code, however they name it."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser

from sequentia.runs.trust import only_trusted
from tests.conftest import CommandResult

MODULE = """from lightning.pytorch import Callback
class Stranger(Callback):
    pass
def rate(step):
    return 1.0
"""
CALLBACK = {"class_path": "evil.Stranger"}
SCHEDULE = "torch.optim.lr_scheduler.LambdaLR"
ATTACKS: dict[str, dict[str, Any]] = {
    "a class": {"trainer": {"callbacks": [CALLBACK]}},
    "the name of a class": {"trainer": {"callbacks": "evil.Stranger"}},
    "YAML in a text": {"trainer": {"callbacks": "[{class_path: evil.Stranger}]"}},
    "escaped YAML in a text": {"trainer": {"callbacks": '[{class_path: "evil\\x2eStranger"}]'}},
    "another file in place of an option": {"trainer": {"callbacks": "FILE"}},
    "another file in place of a section": {"trainer": "FILE"},
    "a file as the configuration": {"config": "FILE"},
    "a class where a text is valid too": {"trainer": {"accelerator": "evil.Stranger", "strategy": CALLBACK}},
    "a function": {"lr_scheduler": {"class_path": SCHEDULE, "init_args": {"lr_lambda": "evil.rate"}}},
    "an architecture": {"model": CALLBACK},
    "a class in the data": {"data": CALLBACK},
    "a module that a known one has imported": {"trainer": {"logger": {"class_path": "lightning.pytorch.cli.sys.exit"}}},
}


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of a stranger, and a module of theirs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    Path("evil.py").write_text(MODULE)
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_recorded_option_imports_no_code_of_a_stranger(
    run: Path, command: Callable[..., CommandResult], attack: str
) -> None:
    path = run / "config.yaml"
    options = yaml.safe_load(path.read_text())
    for section, value in ATTACKS[attack].items():
        if value == "FILE":
            options[section] = str(run / "options")
            (run / "options").write_text("callbacks: [{class_path: evil.Stranger}]\n")
        elif section == "trainer":
            options[section] |= {key: str(run / "options") if item == "FILE" else item for key, item in value.items()}
            (run / "options").write_text("[{class_path: evil.Stranger}]\n")
        else:
            options[section] = value
    path.write_text(yaml.safe_dump(options))
    for name, more in {"fit": ["--trainer.max_steps", "21"], "validate": []}.items():
        result = command(name, "--ckpt_path", run, *more)
        assert "Traceback" not in result.err
        assert result.code == 2 or name == "validate"  # which takes over the data and the device alone
        assert "evil" not in sys.modules


def test_a_class_outside_the_known_packages_needs_trust(run: Path, command: Callable[..., CommandResult]) -> None:
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("  callbacks: null", "  callbacks: [{class_path: evil.Stranger}]"))
    arguments = ["fit", "--ckpt_path", run, "--trainer.max_steps", "21"]
    result = command(*arguments)
    assert result.code == 2
    assert result.err == (
        "sequentia: the options of the run name the class evil.Stranger: if you trust the code of evil, "
        'give --trust evil (in Python trust=["evil"])\n'
    )
    assert command(*arguments, "--trust", "other").code == 2
    assert "evil" not in sys.modules
    assert command(*arguments, "--trust", "evil").code == 0
    assert "evil" in sys.modules


def test_the_imports_of_the_calling_program_are_not_limited() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--function", type=Callable)
    with only_trusted([]):
        pass
    assert parser.parse_args(["--function=json.dumps"]).function is json.dumps
