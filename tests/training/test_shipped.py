"""Shipped configs are found by name from any directory, and a file of the user's own comes first."""

from pathlib import Path

import pytest
import yaml

from sequentia.cli import main
from sequentia.training.shipped import find_config, shipped_configs, with_shipped_configs

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)


def printed_model(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The model of the config that `fit` prints."""
    with pytest.raises(SystemExit, match="0"):
        main(["fit", *arguments, "--print_config"])
    return str(yaml.safe_load(capsys.readouterr().out)["model"]["class_path"]).rpartition(".")[2]


def test_every_config_of_the_source_tree_is_shipped() -> None:
    assert shipped_configs() == {path.stem: path for path in CONFIGS.glob("*.yaml")}


@pytest.mark.parametrize("config", ["gru", "gru.yaml", "configs/gru", "configs/gru.yaml"])
def test_a_name_means_the_shipped_config(config: str) -> None:
    assert find_config(config) == str(CONFIGS / "gru.yaml")


@pytest.mark.parametrize("config", ["gru", "gru.yaml", "configs/gru.yaml"])
def test_a_file_comes_before_a_shipped_config_of_that_name(config: str) -> None:
    Path(config).parent.mkdir(exist_ok=True)
    Path(config).write_text("")
    assert find_config(config) == config


@pytest.mark.parametrize(
    "config", ["gruu", "other/gru.yaml", "/configs/gru.yaml", "../configs/gru.yaml", "gru.yml", ""]
)
def test_anything_else_is_left_to_the_parser(config: str) -> None:
    assert find_config(config) == config


@pytest.mark.parametrize(
    "arguments", [["--config", "gru"], ["--config=gru"], ["-c", "gru.yaml"], ["--config", "gru", "--config=gpu"]]
)
def test_fit_takes_the_name_of_a_config(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert printed_model(capsys, *arguments) == "GRU"


@pytest.mark.parametrize(
    ("arguments", "model"),
    [([], "Transformer"), (["--data.batch_size", "5"], "Transformer"), (["--model", "Bigram"], "Bigram")],
)
def test_without_a_config_and_a_model_fit_uses_the_transformer(
    capsys: pytest.CaptureFixture[str], arguments: list[str], model: str
) -> None:
    assert printed_model(capsys, *arguments) == model


def test_the_default_is_the_shipped_config_itself() -> None:
    expected = f"--config={CONFIGS}/transformer.yaml"
    assert with_shipped_configs("fit", ["--data.path", "a.txt"]) == [expected, "--data.path", "a.txt"]


@pytest.mark.parametrize("command", ["validate", "test"])
def test_an_evaluation_has_no_default_config(command: str) -> None:
    assert with_shipped_configs(command, ["--ckpt_path=last"]) == ["--ckpt_path=last"]
    assert with_shipped_configs(command, []) == []


def test_a_resumed_run_has_no_default_config() -> None:
    assert with_shipped_configs("fit", ["--ckpt_path", "last"]) == ["--ckpt_path", "last"]


def test_an_unknown_name_is_a_mistake_that_lists_the_configs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "transfomer"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no config file" in line
    assert "transfomer" in line
    assert "bigram, bigram_counts," in line
