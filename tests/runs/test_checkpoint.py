"""A checkpoint from a stranger runs no code and takes no memory: each attack is refused in one line, exit code 2."""

import copy
import math
import os
import pickle
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sequentia.cli import main
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.runs.loading import load

LINES = [a + b + c for a in "bdkl" for b in "aeiou" for c in ("la", "n", "rin", "", "tte")]
COMMANDS = {
    "fit": ["fit", "--config", "run/config.yaml", "--trainer.max_steps", "6", "--ckpt_path", "run/last.ckpt"],
    "fit --init_from": ["fit", "--config", "run/config.yaml", "--init_from", "run/last.ckpt"],
    "validate": ["validate", "--config", "run/config.yaml", "--ckpt_path", "run/last.ckpt"],
    "test": ["test", "--config", "run/config.yaml", "--ckpt_path", "run/last.ckpt"],
    "sample": ["sample", "--ckpt_path", "run/last.ckpt"],
    "score": ["score", "--ckpt_path", "run/last.ckpt", "dan"],
    "export": ["export", "--ckpt_path", "run/last.ckpt", "--format", "gpt2", "out"],
    "plot": ["plot", "--ckpt_path", "run/last.ckpt", "out.png"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, and its data."""
    root = tmp_path_factory.mktemp("trained")
    (root / "lines.txt").write_text("\n".join(LINES))
    config = Path(__file__).parents[2] / "configs" / "transformer.yaml"
    options = "--model.n_embd 8 --model.n_layer 1 --model.n_head 2 --data.batch_size 16 --data.path lines.txt"
    options += " --optimizer torch.optim.AdamW --optimizer.fused true"  # the kernel that checks its arguments least
    trainer = "--trainer.max_steps 4 --trainer.val_check_interval 2 --trainer.enable_progress_bar false"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        quiet = "--trainer.accelerator cpu --trainer.log_every_n_steps 1"
        assert main(["fit", "--config", str(config), *options.split(), *trainer.split(), *quiet.split()]) == 0
    (root / "checkpoints" / "transformer" / "version_0").rename(root / "run")
    return root


@pytest.fixture
def workdir(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run to tamper with, in the working directory."""
    shutil.copytree(trained / "run", tmp_path / "run")
    shutil.copy(trained / "lines.txt", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Tamper = Callable[[Path, dict[str, Any]], None]


class Payload:
    """Creates the file `owned` if it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch owned",)


def put(*keys: Any, value: Any) -> Tamper:
    """Set one value deep in the checkpoint."""

    def tamper(path: Path, checkpoint: dict[str, Any]) -> None:
        part: Any = checkpoint
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = value
        torch.save(checkpoint, path)

    return tamper


def drop(*keys: Any) -> Tamper:
    """Remove one value deep in the checkpoint."""

    def tamper(path: Path, checkpoint: dict[str, Any]) -> None:
        part: Any = checkpoint
        for key in keys[:-1]:
            part = part[key]
        del part[keys[-1]]
        torch.save(checkpoint, path)

    return tamper


def content(change: Callable[[bytes], bytes]) -> Tamper:
    """Change the file's bytes."""

    def tamper(path: Path, checkpoint: dict[str, Any]) -> None:
        path.write_bytes(change(path.read_bytes()))

    return tamper


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 64]) + content[middle + 64 :]


def compressed(path: Path, checkpoint: dict[str, Any]) -> None:
    """Compressed entries, which could expand to gigabytes."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def huge_views(path: Path, checkpoint: dict[str, Any]) -> None:
    """Weights of terabytes that are views of one number, with matching hyperparameters."""
    checkpoint["hyper_parameters"]["n_embd"] = 10**6
    for name, weight in checkpoint["state_dict"].items():
        shape = [10**6 * (size // 8) if size % 8 == 0 and size else size for size in weight.shape]
        checkpoint["state_dict"][name] = torch.zeros(1).expand(shape)
    torch.save(checkpoint, path)


def laughs(depth: int = 40) -> Any:
    """Ten lists of ten lists of ten lists ...: small in a file, larger than any memory when printed."""
    value: Any = ["ha"]
    for _ in range(depth):
        value = [value] * 10
    return value


def quantized(path: Path, checkpoint: dict[str, Any]) -> None:
    """A weight of a quantized type."""
    with warnings.catch_warnings(action="ignore"):  # PyTorch is giving up the type
        checkpoint["state_dict"][WEIGHT] = torch.quantize_per_tensor(torch.zeros(24, 8), 0.1, 0, torch.qint8)
    torch.save(checkpoint, path)


def damaged_directory(path: Path, checkpoint: dict[str, Any]) -> None:
    """A weight's entry is marked as a directory, of which PyTorch reads nothing; and its data are damaged."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = max((e for e in archive.infolist() if "/data/" in e.filename), key=lambda e: e.file_size)
        start = archive.start_dir
    content[content.index(entry.filename.encode(), start) - 46 + 38] |= 0x10
    content[content.index(entry.filename.encode()) + 200] ^= 1
    path.write_bytes(content)


def pickled(opcodes: bytes) -> Tamper:
    """An archive with this pickle alone."""

    def tamper(path: Path, checkpoint: dict[str, Any]) -> None:
        write_archive(path, opcodes)

    return tamper


def write_archive(path: Path, opcodes: bytes, entries: int = 0) -> None:
    """An archive with a pickle of these opcodes, and this many entries of one name."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + opcodes + b".")
        archive.writestr("archive/byteorder", sys.byteorder)
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            for _ in range(entries):
                archive.writestr("archive/data/0", b"")


WEIGHT = "blocks.0.attention.qkv.weight"
FIT = ("loops", "fit_loop")
ONE = torch.ones(())
ATTACKS: dict[str, Tamper] = {
    "a payload in the hyperparameters": put("hyper_parameters", "n_layer", value=Payload()),
    "a payload in the weights": put("state_dict", WEIGHT, value=Payload()),
    "a payload under another key": put("more", value=Payload()),
    "a bare pickle": content(lambda _: pickle.dumps(Payload())),
    "a function by name": put("hyper_parameters", "n_layer", value=os.system),
    "another class path": put("sequentia", "architecture", value="os.system"),
    "a path to our own class": put("sequentia", "architecture", value="sequentia.models.Transformer"),
    "a list as architecture": put("sequentia", "architecture", value=["Transformer"]),
    "an endless architecture": put("sequentia", "architecture", value=laughs()),
    "an endless format": put("sequentia", "format", value=laughs()),
    "a later format": put("sequentia", "format", value=2),
    "no sequentia key": drop("sequentia"),
    "a class path as hyperparameter": put("hyper_parameters", "_class_path", value="os.system"),
    "an instantiator": put("hyper_parameters", "_instantiator", value="os.system"),
    "an unknown hyperparameter": put("hyper_parameters", "shell", value="touch owned"),
    "a number as the name of a hyperparameter": put("hyper_parameters", 5, value="touch owned"),
    "a million layers": put("hyper_parameters", "n_layer", value=10**6),
    "ten million channels": put("hyper_parameters", "n_embd", value=10**7),
    "a negative size": put("hyper_parameters", "n_embd", value=-8),
    "a size of zero": put("hyper_parameters", "n_head", value=0),
    "a size as text": put("hyper_parameters", "n_embd", value="eight"),
    "an endless size": put("hyper_parameters", "n_embd", value=laughs()),
    "a fractional size": put("hyper_parameters", "n_layer", value=1.5),
    "a dropout that is NaN": put("hyper_parameters", "dropout", value=math.nan),
    "a vocabulary of numbers": put("hyper_parameters", "vocabulary", value=[1, 2]),
    "an unsorted vocabulary": put("hyper_parameters", "vocabulary", value="ba"),
    "an empty vocabulary": put("hyper_parameters", "vocabulary", value=""),
    "no vocabulary": drop("hyper_parameters", "vocabulary"),
    "no hyperparameters": drop("hyper_parameters"),
    "no weights": drop("state_dict"),
    "a weight missing": drop("state_dict", WEIGHT),
    "an extra weight": put("state_dict", "extra", value=torch.zeros(1)),
    "a weight of another shape": put("state_dict", WEIGHT, value=torch.zeros(2, 2)),
    "a weight of integers": put("state_dict", WEIGHT, value=torch.zeros(24, 8, dtype=torch.int64)),
    "a weight that is a number": put("state_dict", WEIGHT, value=1.0),
    "a sparse weight": put("state_dict", WEIGHT, value=torch.zeros(24, 8).to_sparse()),
    "a weight that is NaN": put("state_dict", WEIGHT, value=torch.full((24, 8), math.nan)),
    "a weight that is infinite": put("state_dict", WEIGHT, value=torch.full((24, 8), math.inf)),
    "weights of terabytes": huge_views,
    "a compressed archive": compressed,
    "the first half of the file": content(lambda content: content[: len(content) // 2]),
    "all but the last byte": content(lambda content: content[:-1]),
    "flipped bytes": content(flip),
    "an empty file": content(lambda content: b""),
    "text": content(lambda content: b"hello\n"),
    "a tensor": lambda path, checkpoint: torch.save(torch.zeros(3), path),
    "no step count": drop("global_step"),
    "a step count as text": put("global_step", value="four"),
    "a negative step count": put("global_step", value=-1),
    "a format that is a tensor": put("sequentia", "format", value=torch.ones(2)),
    "a billion layers": put("hyper_parameters", "n_layer", value=10**9),
    "a number of 400 digits": put("hyper_parameters", "dropout", value=10**400),
    "a context length as text": put("hyper_parameters", "context_length", value="8"),
    "no context length": put("hyper_parameters", "context_length", value=None),
    "a fractional context length": put("hyper_parameters", "context_length", value=8.0),
    "a weight of 8 bits": put("state_dict", WEIGHT, value=torch.zeros(24, 8, dtype=torch.float8_e4m3fn)),
    "a complex weight": put("state_dict", WEIGHT, value=torch.zeros(24, 8, dtype=torch.complex64)),
    "a quantized weight": quantized,
    "a weight of minus infinity": put("state_dict", WEIGHT, value=torch.full((24, 8), -math.inf)),
    "a weight that only float64 can hold": put(
        "state_dict", WEIGHT, value=torch.full((24, 8), -1e300, dtype=torch.float64)
    ),
    "hugely negative weights": put("state_dict", WEIGHT, value=torch.full((24, 8), -3e38)),
    "a weight's entry marked as a directory": damaged_directory,
    "a dictionary with itself as a key": pickled(b"}q\0h\0K\1s"),
    "a list that contains itself": pickled(b"]q\0h\0a"),
    "gigabytes by bytearray": pickled(b"cbuiltins\nbytearray\nJ\0\0\0\x7f\x85R"),
    "ten thousand entries of one name": lambda path, checkpoint: write_archive(path, b"}", 10_000),
}
TRAINING_STATE: dict[str, Tamper] = {
    "no loops": drop("loops"),
    "loops that are a list": put("loops", value=[]),
    "no fit loop": drop(*FIT),
    "progress as text": put(*FIT, "epoch_loop.batch_progress", "total", "ready", value="one"),
    "progress that is a list": put(*FIT, "epoch_progress", value=[1]),
    "negative progress": put(*FIT, "epoch_progress", "current", "processed", value=-3),
    "steps as text": put(
        *FIT, "epoch_loop.automatic_optimization.optim_progress", "optimizer", "step", "total", "completed", value="x"
    ),
    "no optimizer": drop("optimizer_states"),
    "an optimizer that is a number": put("optimizer_states", 0, value=5),
    "an optimizer without groups": put("optimizer_states", 0, "param_groups", value=[]),
    "moments of another shape": put("optimizer_states", 0, "state", 0, "exp_avg", value=torch.zeros(3)),
    "moments that are text": put("optimizer_states", 0, "state", 0, "exp_avg", value="x"),
    "moments that are NaN": put("optimizer_states", 0, "state", 0, "exp_avg", value=torch.full((24, 8), math.nan)),
    "an option as text": put("optimizer_states", 0, "param_groups", 0, "betas", value="fast"),
    "a schedule that is a number": put("lr_schedulers", 0, value=5),
    "a schedule's step as text": put("lr_schedulers", 0, "last_epoch", value="x"),
    "a schedule's method replaced": put("lr_schedulers", 0, "get_lr", value=5),
    "no callbacks": drop("callbacks"),
    "a callback that is a list": put("callbacks", "ExactResume", value=[]),
    "options that are text": put("callbacks", "ExactResume", "options", value="x"),
    "a best score without a file": drop("callbacks", "BestCheckpoint", "best_k_models"),
    "an invalid version": put("pytorch-lightning_version", value="x"),
    "a counter as text": put(*FIT, "epoch_progress", "current", "processed", value="1"),
    "a counter of validation as text": put(*FIT, "epoch_loop.val_loop.batch_progress", "total", "ready", value="x"),
    "an infinite counter": put(*FIT, "epoch_progress", "current", "processed", value=math.inf),
    "moments without dimensions": put("optimizer_states", 0, "state", 0, "exp_avg", value=torch.zeros(())),
    "endless moments": put("optimizer_states", 0, "state", 0, "exp_avg", value=laughs()),
    "a callback state that is a number": put("callbacks", "BestCheckpoint", value=5),
    "no worst checkpoint": put("callbacks", "BestCheckpoint", "kth_best_model_path", value=None),
    "a name of 5,000 characters": put(
        "callbacks", "BestCheckpoint", "best_k_models", value={"x" * 5000: torch.ones(())}
    ),
    "a score as text": put("callbacks", "BestCheckpoint", "best_k_models", value={"best.ckpt": "x"}),
    "a score of several numbers": put("callbacks", "BestCheckpoint", "best_model_score", value=torch.ones(3)),
}


def refused(workdir: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must refuse its checkpoint; returns its error line."""
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("sequentia: ")]
    assert len(lines) == 1
    assert "Traceback" not in err
    assert str(Path("run") / "last.ckpt") in lines[0]
    assert len(lines[0]) < 500
    assert not (workdir / "owned").exists()
    return lines[0]


@pytest.mark.parametrize(
    ("attack", "command"),
    [
        # Two commands by default, one that trains or evaluates and one that does not; all together take minutes.
        pytest.param(attack, command, marks=[] if (i + j) % 4 == 0 else pytest.mark.slow)
        for i, attack in enumerate(ATTACKS)
        for j, command in enumerate(COMMANDS)
    ],
)
def test_a_tampered_checkpoint_is_refused_in_one_line(
    workdir: Path, capsys: pytest.CaptureFixture[str], attack: str, command: str
) -> None:
    path = workdir / "run" / "last.ckpt"
    ATTACKS[attack](path, read_checkpoint(path))
    line = refused(workdir, COMMANDS[command], capsys)
    if attack != "another class path":  # whose module the user may trust
        assert "best.ckpt" in line, "the message names another checkpoint"


@pytest.mark.parametrize("attack", TRAINING_STATE)
def test_a_tampered_training_state_is_refused_in_one_line(
    workdir: Path, capsys: pytest.CaptureFixture[str], attack: str
) -> None:
    path = workdir / "run" / "last.ckpt"
    TRAINING_STATE[attack](path, read_checkpoint(path))
    refused(workdir, COMMANDS["fit"], capsys)


@pytest.mark.parametrize("command", ["sample", "score", "plot", "validate", "test"])
def test_weights_that_overflow_only_later_in_a_line_are_a_mistake(
    workdir: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = workdir / "run" / "last.ckpt"
    checkpoint = read_checkpoint(path)
    checkpoint["state_dict"]["position_embedding.weight"][1:] = 3e38
    torch.save(checkpoint, path)
    assert main(COMMANDS[command]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("sequentia: ")
    assert "probabilities" in last
    assert "NaN" in last


def test_an_untampered_run_is_accepted_by_every_command(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS.values():
        assert main(command) == 0, capsys.readouterr().err
    assert main(["sample", "--ckpt_path", "run", "--novel", "--num_samples", "3"]) == 0


def test_a_checkpoint_written_again_gives_the_same_model(workdir: Path) -> None:
    path = workdir / "run" / "last.ckpt"
    checkpoint = read_checkpoint(path)
    torch.save(copy.deepcopy(checkpoint), workdir / "copy.ckpt")
    assert load(workdir / "copy.ckpt").sample(5, seed=1) == load(path).sample(5, seed=1)


CONFIG_ATTACKS: dict[str, str | bytes] = {
    "code": "data: !!python/object/apply:os.system ['touch owned']\n",
    "the name of a function": "data: {path: !!python/name:os.system }\n",
    "nested aliases": "a: &a [x, x]\nb: &b [*a, *a]\ndata: {path: [*b, *b]}\n",
    "deep nesting": "data: " + "[" * 5000 + "]" * 5000 + "\n",
    "invalid YAML": "data: [1\n",
    "an impossible date": "data: {path: 2001-99-99}\n",
    "not UTF-8": b"\xff\xfe\x00",
    "text": "hello\n",
    "a list": "- data\n",
    "no data": "model: Transformer\n",
    "data as text": "data: hello\n",
    "an unknown option": "data: {path: lines.txt, shell: touch owned}\n",
    "a size as text": "data: {path: lines.txt, batch_size: eight}\n",
    "a mapping as path": "data: {path: {lines.txt: 1}}\n",
    "a directory as path": "data: {path: /}\n",
    "too long": "#" * (2 << 20) + "\n",
    "100 kB of brackets": "[" * 100_000,
    "an endless integer": "data: {path: lines.txt, seed: 0x" + "f" * 100_000 + "}\n",
}


@pytest.mark.parametrize("attack", CONFIG_ATTACKS)
def test_a_strangers_configuration_is_refused_by_novel_in_one_line(
    workdir: Path, capsys: pytest.CaptureFixture[str], attack: str
) -> None:
    text = CONFIG_ATTACKS[attack]
    (workdir / "run" / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["sample", "--ckpt_path", "run", "--novel", "--num_samples", "1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "--novel" in err
    assert "config" in err
    assert len(err) < 1000
    assert not (workdir / "owned").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("command", ["sample", "fit"])
def test_a_pipe_is_not_waited_for(workdir: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    for name, options in {"config.yaml": ["--novel"] if command == "sample" else [], "last.ckpt": []}.items():
        (workdir / "run" / name).unlink()
        os.mkfifo(workdir / "run" / name)
        assert main([command, "--ckpt_path", "run/last.ckpt", *options]) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "attack", ["code", "the name of a function", "nested aliases", "invalid YAML", "not UTF-8", "too long"]
)
def test_a_strangers_configuration_beside_a_checkpoint_is_refused_by_fit(
    workdir: Path, capsys: pytest.CaptureFixture[str], attack: str
) -> None:
    own = shutil.copy(workdir / "run" / "config.yaml", workdir / "own.yaml")
    text = CONFIG_ATTACKS[attack]
    (workdir / "run" / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["fit", "--config", str(own), "--ckpt_path", "run/last.ckpt"]) == 2
    err = capsys.readouterr().err
    assert "run/config.yaml" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not (workdir / "owned").exists()


@pytest.mark.parametrize("attack", ["code", "the name of a function"])
def test_a_configuration_given_by_option_makes_no_object_that_it_names(
    workdir: Path, capsys: pytest.CaptureFixture[str], attack: str
) -> None:
    (workdir / "evil.yaml").write_text(str(CONFIG_ATTACKS[attack]))
    assert main(["fit", "--config", "evil.yaml"]) == 2
    assert "not plain YAML" in capsys.readouterr().err
    assert not (workdir / "owned").exists()
