"""Whatever options a command is given, it does what was asked (exit code 0) or says in one line why not (2)."""

import io
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sequentia.cli import main
from sequentia.models import ARCHITECTURES
from tests.conftest import NAMES

CONFIGS = Path(__file__).parents[2] / "configs"
SECRET = "hunter2"

NUMBERS = ["-1", "0", "1", "2", "3", "0.5", "1.5", "-0.5", "1e300", "-1e300", "1e-300", "1e999", "1e5"]
HUGE = ["1000000000", "99999999999999999999", "-99999999999999999999", "9" * 400]
ODD_NUMBERS = ["nan", ".nan", "inf", ".inf", "-inf", "-.inf", "null", "true", "1_0", "0x10", "०", "1:30"]
TEXTS = ["", " ", "a", "em", "é", "日本", "\udcff", "x" * 300, "--", "-", "a b", "'", '"', "*", "%s", "{", "}", "{0}"]
TEXTS += ["a\nb", "\x1b[2J", "[]", "{}", "[1, 2]", "{a: 1}", "&a", "!!python/object:os.system x", "\\", "a.b.c"]
TEXTS += ["os.system"]
PATHS = [".", "..", "missing", "missing/x", "data.txt", "empty.txt", "binary.bin", "one.txt", "long.txt", "dir"]
PATHS += ["/dev/null", "/dev/null/x", "~nobody/x", "~", "run", "run/best.ckpt", "run/config.yaml", "x.png", "dangling"]
PATHS += ["secret.yaml", "data.txt.gz", "names", "file:///missing", "s3://bucket/x", "http://localhost:1/x", "abc://x"]
PATHS += ["zip://x::y", "x" * 5000]
YAML = ["secret.yaml", "list.yaml", "null.yaml", "deep.yaml", "trainer: 5", "data: {path: null}", "model: 5", "{}", "["]
YAML += ["a: b: c", "bigram", "bigram_counts", "gpu"]
BOOLS = ["true", "false", "null", "1", "abc", ""]
ANY = NUMBERS + HUGE + ODD_NUMBERS + TEXTS + PATHS
SOME = NUMBERS + ODD_NUMBERS + TEXTS  # where a huge number is valid and would take for ever

OPTIMIZERS = ["Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "LBFGS", "Muon", "NAdam"]
OPTIMIZERS += ["RAdam", "RMSprop", "Rprop", "SGD", "SparseAdam", "sequentia.optim.Muon", "Optimizer"]
OPTIMIZERS += ["torch.nn.Linear", *TEXTS]
SCHEDULES = ["StepLR", "OneCycleLR", "ReduceLROnPlateau", "LambdaLR", "CosineAnnealingLR", "ExponentialLR"]
SCHEDULES += ["CyclicLR", "SequentialLR", "LinearLR", "sequentia.schedule.WarmupDecay", "null", "LRScheduler", *TEXTS]
MODELS = [name for name in ARCHITECTURES if "." not in name]

TRAINING: dict[str, list[str]] = {
    "config": YAML + PATHS,
    "seed_everything": ANY,
    "ckpt_path": [*PATHS, "last", "best", ""],
    **{name: ["false", "abc", "null", "5"] for name in ("compile", "extra_metrics")},
    "data": ["5", "abc", "null", *PATHS[:8]],
    **{f"data.{name}": PATHS + TEXTS for name in ("path", "val_path", "test_path")},
    **{f"data.{name}": ANY for name in ("batch_size", "seed", "val_fraction", "test_fraction", "max_length")},
    **{f"data.{name}": BOOLS for name in ("deduplicate", "nfc")},
    "model": [*MODELS, "LanguageModel", "torch.nn.Linear", "5", "null", *TEXTS],
    **{f"model.{name}": ANY for name in ("n_layer", "n_head", "n_embd", "n_hidden", "window", "order", "dropout")},
    **{f"model.{name}": ANY for name in ("smoothing", "regularization", "init_seed", "tied", "vocabulary", "nothing")},
    "optimizer": OPTIMIZERS,
    **{f"optimizer.{name}": ANY for name in ("lr", "weight_decay", "betas", "momentum", "eps", "fused", "adamw_lr")},
    "lr_scheduler": SCHEDULES,
    **{f"lr_scheduler.{name}": ANY for name in ("warmup", "decay", "final", "total_steps", "step_size", "gamma")},
    "lr_scheduler_interval": ["step", "epoch", "null", "5", *TEXTS],
    "checkpoint": ["5", "null", "abc"],
    **{f"checkpoint.{name}": ANY for name in ("save_top_k", "every_n_train_steps", "every_n_epochs")},
    **{f"checkpoint.{name}": ANY for name in ("monitor", "mode")},
    "checkpoint.train_time_interval": [*ANY, "00:00:01", "1 day, 0:00:00"],
    **{f"checkpoint.{name}": BOOLS for name in ("save_weights_only", "verbose")},
    "checkpoint.auto_insert_metric_name": BOOLS,
    "checkpoint.dirpath": PATHS,
    "trainer": ["5", "null", "abc"],
    "trainer.accelerator": ["cpu", "auto", "gpu", "tpu", "hpu", "mps", "cuda", "null", *TEXTS],
    "trainer.strategy": ["auto", "abc", "ddp_spawn", "deepspeed", "xla", "null", "single_device", *TEXTS],
    "trainer.devices": ["auto", "0", "1", "-1", "-2", "nan", "null", "[]", "[0]", "[-1]", "0.5", *TEXTS],
    "trainer.num_nodes": ["0", "-1", "1", "nan", "null", "abc", "0.5"],
    "trainer.precision": ["16", "32", "64", "bf16", "16-mixed", "bf16-true", "transformer-engine", "8", *TEXTS],
    **{f"trainer.{name}": SOME for name in ("max_steps", "max_epochs", "min_epochs", "min_steps")},
    "trainer.max_time": [*SOME, "00:00:00:01", "{days: 1}"],
    **{f"trainer.{name}": ANY for name in ("limit_train_batches", "limit_val_batches", "limit_test_batches")},
    **{f"trainer.{name}": ANY for name in ("overfit_batches", "val_check_interval", "check_val_every_n_epoch")},
    **{f"trainer.{name}": ANY for name in ("num_sanity_val_steps", "log_every_n_steps", "accumulate_grad_batches")},
    **{f"trainer.{name}": ANY for name in ("gradient_clip_val", "gradient_clip_algorithm", "fast_dev_run")},
    "trainer.reload_dataloaders_every_n_epochs": ANY,
    **{f"trainer.{name}": BOOLS for name in ("deterministic", "inference_mode", "detect_anomaly", "barebones")},
    **{f"trainer.{name}": BOOLS for name in ("enable_checkpointing", "enable_progress_bar", "enable_model_summary")},
    "trainer.profiler": ["simple", "abc", "null", "5", ""],
    "trainer.logger": [*BOOLS, "CSVLogger", "WandbLogger", "TensorBoardLogger", "a.b"],
    "trainer.callbacks": [
        *(*BOOLS, "EarlyStopping", "Timer", "DeviceStatsMonitor", "LearningRateMonitor", "LearningRateFinder"),
        *("BatchSizeFinder", "RichProgressBar", "TQDMProgressBar", "[]", "a.b"),
    ],
    "trainer.plugins": [*BOOLS, "[]", "a.b"],
    # Not `/`, where root may write.
    "trainer.default_root_dir": ["", " ", "é", "data.txt", "dir", "run", "/dev/null", "/proc/x", "s3://b/x", "x" * 300],
    "nothing": ANY,
}  # fmt: skip
CKPT = {"ckpt_path": [*PATHS, "", "last", "--"], "nothing": TEXTS, "help": [""]}
FORMATS = ["table", "csv", "json", "html", *TEXTS]
FUNCTIONS = ["keyword:iskeyword", "keyword:kwlist", "keyword", "nowhere:f", "math:sqrt", *TEXTS]
OUTPUTS = [*TEXTS, *PATHS, "x" * 300 + ".png"]
OUTPUTS += ["a.png", "a.svg", "a.pdf", "a.pgf", "a.eps", "a.jpg", "a.raw", "a.onnx", "dir/a.png"]
SAMPLE = CKPT | {
    "num_samples": ["-1", "0", "1", "5", *ODD_NUMBERS, *TEXTS],
    "prompt": [*TEXTS, *PATHS],
    **dict.fromkeys(("temperature", "top_k", "top_p", "max_length", "min_length", "seed", "batch_size"), ANY),
    **dict.fromkeys(("novel", "unique", "nll", "raw"), BOOLS),
    "valid": FUNCTIONS,
}
OPTIONS: dict[str, dict[str, list[str]]] = {
    "fit": TRAINING,
    **dict.fromkeys(("validate", "test"), TRAINING | {"format": FORMATS, "valid": FUNCTIONS}),
    "sample": SAMPLE,
    "score": CKPT | {"path": PATHS + TEXTS, "per_char": ["", "1"], "raw": [""]},
    "plot": CKPT | {"what": ["pairs", "curves", *TEXTS]},
    "report": {"format": FORMATS, "out": OUTPUTS, "help": [""]},
    "export": CKPT | {"format": ["gpt2", "onnx", "html", *TEXTS]},
}
FLAGS = {"novel", "unique", "nll", "raw", "per_char", "help"}
POSITIONAL = {
    "score": TEXTS + PATHS,
    "plot": OUTPUTS,
    "export": OUTPUTS,
    "report": ["run", *PATHS],
}
ALWAYS = {
    "fit": ["--data.path", "data.txt", "--trainer.max_steps", "2", "--trainer.accelerator", "cpu"],
    "validate": ["--data.path", "data.txt", "--trainer.accelerator", "cpu", "--ckpt_path", "run"],
    "test": ["--data.path", "data.txt", "--trainer.accelerator", "cpu", "--ckpt_path", "run"],
}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with one to three options that are valid, odd or hostile, in either spelling, and a few operands.

    Hypothesis draws only a seed: its own choices repeat and vary a few command lines instead of covering all options.
    """
    random = draw(st.randoms(use_true_random=True))
    command = random.choice([*OPTIONS, "fit", "fit", "sample"])
    arguments = [command]
    if command in ALWAYS:
        name = random.choice(["bigram", "bigram", "bigram_counts", "ngram", "bow", "mlp", "gru", "cnn", "transformer"])
        arguments += ["--config", str(CONFIGS / f"{name}.yaml"), *ALWAYS[command]]
    elif command != "report" and random.random() < 0.8:
        arguments += ["--ckpt_path", "run"]
    if command == "export" and random.random() < 0.8:
        arguments += ["--format", random.choice(["gpt2", "onnx", "html"])]
    for name in random.choices(sorted(OPTIONS[command]), k=random.choice([1, 1, 1, 2, 3])):
        value = random.choice(OPTIONS[command][name])
        if name in FLAGS:
            arguments.append(f"--{name}" + (f"={value}" if value else ""))
        elif random.random() < 0.7 and value != "--":  # argparse takes "--" after "=" away, and leaves a list
            arguments.append(f"--{name}={value}")
        else:
            arguments += [f"--{name}", value]
    if command in POSITIONAL:
        arguments += random.choices(POSITIONAL[command], k=random.choice([1, 1, 2]))
    return arguments


class Ended(NamedTuple):
    """How a command ended."""

    code: object
    out: str
    err: str


def run(arguments: list[str], limit: int = 120) -> Ended:
    """Run a command in this process.

    Raises:
        TimeoutError: It takes more than `limit` seconds.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {limit} s: {arguments}")

    out, err = io.StringIO(), io.StringIO()
    before, stdin = signal.signal(signal.SIGALRM, stop), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(b"emma\n"))
    signal.alarm(limit)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code: object = main(arguments)
            except SystemExit as stopped:  # --help
                code = stopped.code
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        sys.stdin = stdin
        torch.use_deterministic_algorithms(False)  # left behind by Lightning
        torch.autograd.set_detect_anomaly(False)
    return Ended(code, out.getvalue(), err.getvalue())


def check(arguments: list[str], ended: Ended) -> None:
    """The law that holds for every command line."""
    assert ended.code in (0, 2), (arguments, ended)
    assert "Traceback" not in ended.err, (arguments, ended)
    messages = [line for line in ended.err.splitlines() if line.startswith("sequentia: ")]
    assert len(messages) == (ended.code == 2), (arguments, ended)
    assert SECRET not in ended.err, (arguments, ended)
    if ended.code == 2:
        assert ended.out == "", (arguments, ended)


def listing(home: Path) -> set[Path]:
    """All files and directories."""
    return set(home.rglob("*"))


@pytest.fixture(scope="module")
def home(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with a run, and with files that are data, and others that are not."""
    home = tmp_path_factory.mktemp("outer") / "home"
    prepare(home, trained)
    with chdir(home):
        yield home


def prepare(home: Path, run: Path) -> None:
    """Fill the directory."""
    shutil.copytree(run, home / "run")
    (home / "dir" / "inner").mkdir(parents=True)
    contents: dict[str, str | bytes] = {
        "data.txt": "".join(f"{name}\n" for name in [*NAMES, *(name[::-1] for name in NAMES)]),
        "empty.txt": "",
        "one.txt": "emma\n",
        "long.txt": "x" * 2000 + "\n",
        "binary.bin": bytes(range(256)),
        "data.txt.gz": b"\x1f\x8b\x08\x00garbage",
        "secret.yaml": f"password {SECRET}\n",
        "list.yaml": f"- {SECRET}\n",
        "null.yaml": "model: Bigram\ndata: {path: null}\n",
        "deep.yaml": "a: " + "[" * 2000,
    }
    for name, content in contents.items():
        (home / name).write_bytes(content.encode() if isinstance(content, str) else content)
    (home / "dangling").symlink_to("missing")


def try_out(home: Path, arguments: list[str]) -> None:
    """Run a command, check the law, and remove what the command wrote."""
    before = listing(home)
    try:
        ended = run(arguments)
        check(arguments, ended)
        if ended.code == 2 and arguments[0] != "fit":  # a run that diverges stays
            assert listing(home) == before, (arguments, ended)
    finally:
        for path in sorted(listing(home) - before):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif os.path.lexists(path):
                path.unlink()


QUICK = settings(max_examples=20, deadline=None, derandomize=True, database=None)
THOROUGH = settings(QUICK, max_examples=2000, suppress_health_check=list(HealthCheck))


@pytest.mark.filterwarnings("default")  # of a library about odd options: printed, as for a user
@QUICK
@given(command_lines())
def test_any_options_end_with_a_result_or_one_line(home: Path, arguments: list[str]) -> None:
    try_out(home, arguments)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of a library about odd options: printed, as for a user
@THOROUGH
@given(command_lines())
def test_thousands_of_options_end_with_a_result_or_one_line(home: Path, arguments: list[str]) -> None:
    try_out(home, arguments)
