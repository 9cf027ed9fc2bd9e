"""Every config in configs/ trains a model of the architecture that it is named after."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything

import sequentia
from sequentia.cli import main
from sequentia.data import CharDataModule
from sequentia.data.batches import make_batch
from sequentia.data.corpus import Corpus
from sequentia.models import ARCHITECTURES
from sequentia.models.parts.shipped import config_of
from sequentia.runs.checkpoint import load
from sequentia.training.loop.resume import ExactResume
from tests.conftest import NAMES

ROOT = Path(__file__).parents[2]
OVERLAYS = {"gpu": "transformer"}
"""Configs that override parts of another config: the name of that config."""

VARIANTS = {"bigram_gd": "bigram"}
"""Configs that are not named after their architecture: the stem of the architecture's file."""


def model_file(stem: str) -> str:
    """Stem of the file of a config's architecture."""
    return VARIANTS.get(stem, stem)


def short_run(path: str, root: Path, steps: int) -> list[str]:
    """Options of a run on all lines of `path` that is saved to `root`."""
    data = [f"--data.path={path}", "--data.val_fraction=0", "--data.test_fraction=0"]
    return [
        *data,
        "--trainer.accelerator=cpu",
        f"--trainer.default_root_dir={root}",
        f"--trainer.max_steps={steps}",
    ]


@pytest.fixture(params=sorted({path.stem for path in (ROOT / "configs").glob("*.yaml")} - set(OVERLAYS)))
def stem(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_architecture_has_a_config() -> None:
    for architecture in ARCHITECTURES.values():
        config = config_of(architecture)
        assert config is not None
        assert config.stem == architecture.__module__.rpartition(".")[2]


def test_every_config_trains_its_architecture_to_an_nll_below_ln_v(
    stem: str, corpus: Corpus, write: Callable[..., str], tmp_path: Path
) -> None:
    path = write([corpus.line(i) for i in range(len(corpus))])
    options = short_run(path, tmp_path, steps=20)
    assert main(["fit", "--config", str(ROOT / "configs" / f"{stem}.yaml"), *options]) == 0
    model = load(tmp_path / "version_0" / "last.ckpt")
    assert type(model).__module__ == f"sequentia.models.{model_file(stem)}"
    batch = make_batch(corpus, np.arange(len(corpus)))
    with torch.no_grad():
        nll = float(model.nll_sum(batch)) / batch.total
    assert nll < 0.9 * math.log(len(corpus.vocabulary))


@pytest.mark.parametrize("architecture", ["Bigram", "GRU", "Transformer", "Mixture"])
def test_a_plain_trainer_trains_the_model_of_the_shipped_config(
    architecture: str, write: Callable[..., str], tmp_path: Path
) -> None:
    config, path = config_of(ARCHITECTURES[architecture]), write(NAMES)
    options: dict[str, Any] = {"max_steps": 5, "accelerator": "cpu"}
    held_out: dict[str, Any] = {"data__val_fraction": 0, "data__test_fraction": 0}
    expected = sequentia.fit(path, config=config, default_root_dir=tmp_path / "runs", **held_out, **options)
    seed_everything(0, verbose=False)
    data = CharDataModule(path, val_fraction=0, test_fraction=0)
    model = ARCHITECTURES[architecture].for_data(data)
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    callbacks = [ExactResume(0)]  # seeds the dropout of each step, as the command does
    Trainer(callbacks=callbacks, limit_val_batches=0, enable_checkpointing=False, **quiet, **options).fit(model, data)
    weights = model.state_dict()
    assert weights.keys() == expected.state_dict().keys()
    for name, weight in expected.state_dict().items():
        assert torch.equal(weights[name], weight), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_changes_exactly_the_options_that_it_sets(overlay: str, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [f"--config={ROOT}/configs/{name}.yaml" for name in (OVERLAYS[overlay], overlay)]
    printed = []
    for chosen in (configs[:1], configs):
        with pytest.raises(SystemExit, match="0"):
            main(["fit", *chosen, "--print_config"])
        printed.append(flat(yaml.safe_load(capsys.readouterr().out)))
    overridden = flat(yaml.safe_load((ROOT / "configs" / f"{overlay}.yaml").read_text()))
    assert {k: v for k, v in printed[1].items() if printed[0][k] != v} == overridden


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """A nested config as a flat dict with dotted names."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for name, value in tree.items() for k, v in flat(value, f"{prefix}.{name}".lstrip(".")).items()}


def test_a_null_schedule_keeps_the_rate_constant(write: Callable[..., str], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = ["--model", "Bigram", *short_run(write(["ab", "ba", "aab"]), tmp_path, steps=10), "--optimizer", "SGD"]
    options += ["--trainer.log_every_n_steps", "1", "--optimizer.lr", "50", "--lr_scheduler", "null"]
    assert main(["fit", *options]) == 0
    events = EventAccumulator(str(tmp_path / "version_0")).Reload()
    assert [event.value for event in events.Scalars("vitals/lr_embeddings")] == [50.0] * 10
