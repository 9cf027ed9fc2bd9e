"""The members of a mixture that nobody chose."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import sequentia
from sequentia.training.loop.members import members_for
from tests.conftest import NAMES

CHARACTERS = 7  # of a name, with its boundary
MANY = 30_000


def members_of_names(lines: int, **time: float) -> list[dict[str, Any]]:
    return members_for(timedelta(**time), CHARACTERS * lines, lines)


@pytest.mark.parametrize(("minutes", "lines", "copies"), [(1, MANY, 1), (60, 10**8, 1), (60, 150, 8)])
def test_more_time_for_the_data_means_more_transformers(minutes: int, lines: int, copies: int) -> None:
    transformer, *others = members_of_names(lines, minutes=minutes)
    assert (transformer["architecture"], transformer["copies"]) == ("Transformer", copies)
    assert [member["architecture"] for member in others] == ["CNN", "NGram"]


def test_seconds_are_for_the_cnn() -> None:
    assert [member["architecture"] for member in members_of_names(MANY, seconds=20)] == ["CNN", "NGram"]
    assert members_of_names(150, seconds=20)[0]["architecture"] == "Transformer"


@pytest.mark.parametrize("seconds", [20, 600])
def test_long_lines_are_for_the_transformer(seconds: int) -> None:
    members = members_for(timedelta(seconds=seconds), 40 * MANY, MANY)
    assert [member["architecture"] for member in members] == ["Transformer", "NGram"]


def test_many_long_lines_and_much_time_are_for_a_wide_transformer() -> None:
    widths = [members_for(timedelta(minutes=minutes), 40 * 10**5, 10**5)[0].get("n_embd") for minutes in (3, 30, 300)]
    assert widths == [None, 128, None]  # after five hours several of the default width


def test_only_repeated_lines_need_dropout() -> None:
    assert members_of_names(10**7, minutes=1)[0]["dropout"] == 0
    assert members_of_names(MANY, minutes=60)[0]["dropout"] > 0


def recorded(tmp_path: Path) -> dict[str, Any]:
    options: dict[str, Any] = yaml.safe_load((tmp_path / "version_0" / "config.yaml").read_text())
    return options


def test_a_run_without_a_config_records_its_members(tmp_path: Path) -> None:
    """The recorded config trains the same model again."""
    model = sequentia.fit(NAMES, max_time="00:00:30", default_root_dir=tmp_path)
    options = recorded(tmp_path)
    assert options["model"]["init_args"]["members"] == model.hparams["members"]
    again = sequentia.fit(config=tmp_path / "version_0" / "config.yaml", default_root_dir=tmp_path / "again")
    assert again.score(["emma"])[0].nll == model.score(["emma"])[0].nll


def test_options_of_a_model_without_a_name_mean_the_transformer(tmp_path: Path) -> None:
    model = sequentia.fit(NAMES, max_steps=1, model__n_layer=1, default_root_dir=tmp_path)
    assert type(model) is sequentia.Transformer
