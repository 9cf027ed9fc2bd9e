"""The page docs/own_architecture.md is true, and a checkpoint imports only modules that the user trusts."""

import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import sequentia
from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES, Bigram
from tests.conftest import CommandResult

PAGE = (Path(__file__).parents[2] / "docs" / "own_architecture.md").read_text(encoding="utf-8")
MODULE, CHECK, METHOD, PROGRAM = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"(?m)^    (sequentia .+)$", PAGE)]
TRUST = 'give --trust my_module (in Python trust=["my_module"])'

Run = Callable[..., CommandResult]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory with the module of the page, which is not on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    Path("my_module.py").write_text(MODULE)
    Path("brands.txt").write_text("Akemi\nAkzo\nBosch\nAkai\nAgfa\nAcer\nAsus\nBraun\n" * 5)
    yield
    forget()


def forget() -> None:
    """Let the next command run as in a process of its own, which has not imported the module."""
    for name in ("my_module", "trace"):
        sys.modules.pop(name, None)
    for name in [name for name in ARCHITECTURES if name.startswith("my_module.")]:
        del ARCHITECTURES[name]


def short(arguments: list[str]) -> list[str]:
    """The same command with fewer steps."""
    steps = {"300": "3", "400": "5"}
    arguments = [steps.get(argument, argument) for argument in arguments]
    if "--model" in arguments:
        arguments += ["--data.test_fraction", "0.4", "--extra_metrics", "false"]
    return arguments if arguments[0] not in ("fit", "test") else [*arguments, "--trainer.accelerator", "cpu"]


def test_the_commands_of_the_page_run_and_need_the_trust_that_it_gives(command: Run) -> None:
    assert [arguments[0] for arguments in COMMANDS] == ["fit", "fit", "sample", "score", "test", "export"]
    for arguments in map(short, COMMANDS):
        forget()
        if "--trust" in arguments:
            at = arguments.index("--trust")
            refused = command(*arguments[:at], *arguments[at + 2 :])
            assert (refused.code, refused.out) == (2, "")
            assert refused.err.endswith(f"if you trust the code of my_module, {TRUST}\n")
            forget()
        result = command(*arguments)
        assert result.code == 0, result.err
    again = command(*short(COMMANDS[0]))
    assert "sequentia sample checkpoints/product/version_1 --trust my_module\n" in again.err
    tuned = command(*short(COMMANDS[0]), "--init_from", "checkpoints/product", "--trust", "my_module")
    assert "initialized from checkpoints/product/version_1/" in tuned.err
    options = short(COMMANDS[0])[COMMANDS[0].index("--data.path") :]  # without those of the model
    alone = command("fit", *options, "--init_from", "checkpoints/product/version_1", "--trust", "my_module")
    assert "initialized from checkpoints/product/version_1/" in alone.err
    assert sequentia.load(trust="my_module").hparams["n_embd"] == 16
    assert Path("model.onnx").is_file()


def test_other_characters_need_the_method_of_the_page(command: Run) -> None:
    assert command(*short(COMMANDS[0])).code == 0
    Path("other.txt").write_text("Ülker\nÖz\nBosch\nAkai\nAgfa\nAcer\nAsus\nBraun\n" * 5)
    again = [argument.replace("brands", "other") for argument in short(COMMANDS[0])]
    start = ["--init_from", "checkpoints/product/version_0", "--trust", "my_module"]
    refused = command(*again, *start)
    assert refused.code == 2
    assert "other characters or labels than the trained model: define Product.vocabulary_dims" in refused.err
    Path("my_module.py").write_text(MODULE + textwrap.indent(METHOD, "    "))
    forget()
    assert command(*again, *start).code == 0


def test_a_checkpoint_to_start_from_imports_no_class_that_its_options_name(command: Run) -> None:
    Path("my_module.py").write_text(
        f"from typing import Any\n{MODULE}\n\nclass Loose(Product):\n"
        "    def __init__(self, vocabulary, context_length, n_embd: int = 8, extra: Any = None):\n"
        "        super().__init__(vocabulary, context_length, n_embd)\n"
        "        self.save_hyperparameters(logger=False)\n"
    )
    Path("stranger.py").write_text("open('imported', 'w').close()\n\nclass Any:\n    pass\n")
    options = short(["fit", "--model", "my_module.Loose", "--data.path", "brands.txt", "--trainer.max_steps", "300"])
    assert command(*options).code == 0
    checkpoint = torch.load("checkpoints/loose/version_0/best.ckpt", weights_only=True)
    checkpoint["hyper_parameters"]["extra"] = {"class_path": "stranger.Any", "init_args": {"a": 1}}
    torch.save(checkpoint, "forged.ckpt")
    refused = command("fit", *options[3:], "--init_from", "forged.ckpt", "--trust", "my_module")
    assert refused.code == 2
    assert not Path("imported").exists()


def test_the_check_and_the_program_of_the_page_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    exec(CHECK, {})
    names: dict[str, Any] = {}
    exec(PROGRAM.replace("300", "3"), names)
    assert type(names["model"]).__name__ == "Product"
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert type(sequentia.load("checkpoints/product")) is type(names["model"])  # this process has run its code
    forget()
    with pytest.raises(UserError, match=re.escape(TRUST)):
        sequentia.load("checkpoints/product")


@pytest.mark.parametrize("trust", [[], ["--trust", "my_module"]], ids=["none", "another"])
def test_a_forged_checkpoint_imports_nothing(
    command: Run, save_run: Callable[..., Path], trust: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    Path("trace.py").write_text("open('trace', 'w').close()\n")
    path = save_run(Bigram("ab", 4)) / "best.ckpt"
    content = torch.load(path, weights_only=True)
    for name in ("trace.Model", "trace.deep.Model", "my_module2.Model", "my_module.trace"):
        content["sequentia"]["architecture"] = name
        torch.save(content, path)
        for arguments in (["sample"], ["test", "--data.path", "brands.txt"]):
            result = command(*arguments, "--ckpt_path", path, *trust)
            assert result.code == 2, name
            assert f"sequentia: refused {path}:" in result.err or "cannot import my_module.trace" in result.err
    assert not Path("trace").exists()
    assert not {"trace", "my_module2"} & set(sys.modules)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_module.Tensor", "my_module.Tensor is not a LanguageModel"),
        ("my_module.torch.load", "my_module.torch.load is not a LanguageModel"),
        ("my_module.Missing", "cannot import my_module.Missing"),
        ("my_module.Product", "unexpected keyword argument 'init_seed'"),
    ],
)
def test_a_trusted_module_must_have_the_architecture(
    command: Run, save_run: Callable[..., Path], name: str, message: str
) -> None:
    path = save_run(Bigram("ab", 4)) / "best.ckpt"
    content = torch.load(path, weights_only=True)
    content["sequentia"]["architecture"] = name
    torch.save(content, path)
    result = command("sample", "--ckpt_path", path, "--trust", "my_module")
    assert result.code == 2
    assert message in result.err


def test_the_working_directory_is_searched_only_if_the_user_names_code(command: Run, trained: Path) -> None:
    before = sys.path[:]
    for arguments in (["sample", "--ckpt_path", trained], ["fit", "--model", "Bigram", "--trainer.max_steps", "-5"]):
        command(*arguments)
        assert sys.path == before
    command("sample", "--ckpt_path", trained, "--trust", "my_module")
    assert sys.path == [*before, str(Path.cwd())]  # last: no installed module is replaced


@pytest.mark.parametrize("trust", ["my-module", "", "../my_module", "my_module."])
def test_what_is_no_module_is_refused(command: Run, trained: Path, trust: str) -> None:
    for name in ("sample", "test"):
        result = command(name, "--ckpt_path", trained, "--trust", trust)
        assert result.code == 2
        assert f"trust {trust!r} is not the name of a module: give one such as my_module" in result.err
    assert command("test", "--trust").code == command("sample", "--trust").code == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("self.save_hyperparameters(logger=False)", "pass", "does not save its hyperparameters: call self.save_hyper"),
        ("n_embd: int = 32", "n_embd: int = 32, more: complex = 1j", "the option more of Product is a complex: give"),
    ],
)
def test_an_architecture_whose_checkpoints_could_not_be_loaded_is_refused_before_the_first_step(
    command: Run, old: str, new: str, message: str
) -> None:
    Path("my_module.py").write_text(MODULE.replace(old, new))
    result = command(*short(COMMANDS[0]))
    assert result.code == 2
    assert message in result.err
    assert "train/loss" not in result.err


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import nowhere\n", "cannot import my_module.Product: ModuleNotFoundError: No module named 'nowhere'"),
        (
            "class Product(\n",
            "cannot import my_module.Product: SyntaxError: '(' was never closed (my_module",
        ),
        ("", "cannot import my_module.Product: AttributeError: module 'my_module' has no attribute 'Product'"),
    ],
)
def test_an_error_in_the_module_is_reported(command: Run, module: str, message: str) -> None:
    Path("my_module.py").write_text(module)
    result = command(*short(COMMANDS[0]))
    assert result.code == 2
    assert f"sequentia: {message}" in result.err
