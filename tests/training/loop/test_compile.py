"""The option `--compile`: the same model with the same names of weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sequentia.cli import main
from sequentia.models import Transformer
from sequentia.runs.checkpoint import load


def test_the_checkpoint_of_a_compiled_model_is_that_of_the_model(save_run: Callable[..., Path]) -> None:
    torch.manual_seed(0)
    model = Transformer("abc", 5, n_layer=1, n_embd=8).eval()
    names = list(model.state_dict())
    context = torch.tensor([[0, 1, 2]])
    with torch.no_grad():
        expected = model(context)
        model.compile(backend="eager", dynamic=True)
        torch.testing.assert_close(model(context), expected)
    assert list(model.state_dict()) == names
    with torch.no_grad():
        assert torch.equal(load(save_run(model))(context), expected)


@pytest.mark.slow  # needs a C++ compiler, and half a minute
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")  # by torch.compile
def test_a_compiled_run_ends_with_about_the_weights_of_an_eager_run(tmp_path: Path) -> None:
    config = Path(__file__).parents[3] / "configs" / "transformer.yaml"
    options = ["--trainer.max_steps=10", "--model.n_layer=1", "--model.dropout=0", "--data.batch_size=16"]
    options += ["--trainer.accelerator=cpu", "--trainer.val_check_interval=10"]
    for name in ("false", "true"):
        root = f"--trainer.default_root_dir={tmp_path / name}"
        assert main(["fit", f"--config={config}", *options, f"--compile={name}", root]) == 0
    eager, compiled = (load(tmp_path / name / "version_0" / "last.ckpt").state_dict() for name in ("false", "true"))
    torch.testing.assert_close(compiled, eager, atol=1e-3, rtol=1e-3)
