"""The main job through the installed command, as a new user would do it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[1]
SEQUENTIA = Path(sys.executable).with_name("sequentia")
SMALL = [
    "--model.n_layer=1",
    "--model.n_embd=16",
    "--model.n_head=2",
    "--model.dropout=0.1",
    "--data.batch_size=64",
    "--trainer.max_steps=60",
    "--trainer.val_check_interval=25",
    "--trainer.log_every_n_steps=5",
    "--checkpoint.every_n_train_steps=10",
    "--trainer.accelerator=cpu",
]


def command(*arguments: str) -> list[str]:
    return [str(SEQUENTIA), *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=directory, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def config() -> str:
    return str(ROOT / "configs" / "transformer.yaml")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, config: str) -> Path:
    """A directory with a run that was never interrupted."""
    directory = tmp_path_factory.mktemp("straight")
    done = run(directory, "fit", "--config", config, *SMALL)
    assert done.returncode == 0, done.stderr
    return directory


def test_fit_tells_the_run_and_the_commands_that_go_on_from_it(straight: Path, config: str) -> None:
    again = run(straight, "fit", "--config", config, *SMALL, "--trainer.max_steps=2")
    assert again.stdout == ""
    assert "checkpoints/transformer/version_1" in again.stderr
    for words in ("sequentia sample --ckpt_path", "tensorboard --logdir checkpoints", "sequentia fit --config"):
        assert words in again.stderr
    files = {path.name for path in (straight / "checkpoints/transformer/version_0").iterdir()}
    assert {"config.yaml", "best.ckpt", "last.ckpt"} <= files


def test_killed_and_continued_then_tested_and_sampled(straight: Path, tmp_path: Path, config: str) -> None:
    fit = command("fit", "--config", config, *SMALL)
    last = tmp_path / "checkpoints/transformer/version_0/last.ckpt"
    process = subprocess.Popen(fit, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
    written: set[int] = set()
    while len(written) < 3:  # before the first step, and twice more
        assert process.poll() is None
        if last.exists():
            written.add(last.stat().st_mtime_ns)
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()

    resumed = run(tmp_path, "fit", "--config", config, *SMALL, "--ckpt_path", "last")
    assert resumed.returncode == 0, resumed.stderr
    assert [path.name for path in last.parents[1].iterdir()] == ["version_0"]
    ours, theirs = (
        torch.load(d / "checkpoints/transformer/version_0/last.ckpt", weights_only=True) for d in (tmp_path, straight)
    )
    assert ours["global_step"] == theirs["global_step"] == 60
    for name, weight in ours["state_dict"].items():
        assert torch.equal(weight, theirs["state_dict"][name])

    tested = run(tmp_path, "test", "--config", config, "--ckpt_path", "last")
    assert tested.returncode == 0, tested.stderr
    assert "test/loss" in tested.stdout
    options = ("--ckpt_path", "checkpoints/transformer/version_0", "--num_samples", "7", "--seed", "3")
    sampled = run(tmp_path, "sample", *options)
    assert sampled.returncode == 0, sampled.stderr
    assert len(sampled.stdout.splitlines()) == 7
    assert sampled.stdout == run(straight, "sample", *options).stdout


def test_tensorboard_shows_losses_rate_and_samples(straight: Path) -> None:
    events = EventAccumulator(str(straight / "checkpoints/transformer/version_0")).Reload()
    tags = events.Tags()
    assert {"train/loss", "val/loss", "val/bits_per_char", "val/perplexity", "lr"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("train/loss")] == list(range(4, 60, 5))
    assert "samples/text_summary" in tags["tensors"]
    texts = [event.tensor_proto.string_val[0].decode() for event in events.Tensors("samples/text_summary")]
    assert all(text.count("<code>") == 20 for text in texts)


def test_several_configs_lie_one_over_another(tmp_path: Path, config: str) -> None:
    (tmp_path / "over.yaml").write_text("model:\n  init_args:\n    n_layer: 3\n")
    printed = run(tmp_path, "fit", "--config", config, "--config", "over.yaml", "--print_config")
    assert printed.returncode == 0, printed.stderr
    assert "n_layer: 3" in printed.stdout
    assert "class_path: sequentia.models.Transformer" in printed.stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--trainer.precision", "bf16-mixed"],
        ["--trainer.strategy", "ddp", "--trainer.devices", "2"],
    ],
)
def test_lightnings_own_options_work(tmp_path: Path, config: str, options: list[str]) -> None:
    done = run(tmp_path, "fit", "--config", config, *SMALL, *options, "--trainer.max_steps=4")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "checkpoints/transformer/version_0/last.ckpt").is_file()
    assert not list(tmp_path.glob("checkpoints/transformer/version_1"))
