"""Shipped configs are found by name from any directory, and a file of the user's own comes first."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sequentia.cli import main
from sequentia.models.parts.shipped import find_config, shipped_configs

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The config that `fit` prints."""
    with pytest.raises(SystemExit, match="0"):
        main(["fit", *arguments, "--print_config"])
    config: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return config


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


def test_fit_takes_the_name_of_a_config(capsys: pytest.CaptureFixture[str]) -> None:
    expected = printed(capsys, "--config", str(CONFIGS / "gru.yaml"))
    assert expected["model"]["class_path"] == "sequentia.GRU"
    assert printed(capsys, "--config=gru") == printed(capsys, "-c", "gru.yaml") == expected


def test_an_architecture_has_the_defaults_of_its_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--model", "GRU") == printed(capsys, "--config", "gru")
    own = printed(capsys, "--config", "{model: {class_path: GRU, init_args: {n_hidden: 8}}}")
    assert own["optimizer"] == printed(capsys, "--config", "gru")["optimizer"]
    assert own["model"]["init_args"]["n_hidden"] == 8
    assert printed(capsys) == printed(capsys, "--config", "mixture") == printed(capsys, "--model", "Mixture")
    assert printed(capsys, "--data.seed", "5")["data"]["seed"] == 5
