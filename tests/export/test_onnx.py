"""ONNX Runtime computes the same logits from exported graphs as the model itself."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sequentia.errors import UserError
from sequentia.export import export_onnx
from sequentia.inference.sampling import drafts
from sequentia.models import ARCHITECTURES, LanguageModel
from sequentia.vocabulary import Vocabulary
from tests.export.models import CHARACTERS, perturbed


@pytest.fixture(scope="module", params=[name for name in ARCHITECTURES if name != "NGram"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    networks = [{"architecture": "Transformer", "n_embd": 8, "n_head": 2, "copies": 2}, {"architecture": "GRU"}]
    options = {"members": networks} if request.param == "Mixture" else {}
    return perturbed(ARCHITECTURES[request.param](CHARACTERS, 7, **options))


@pytest.fixture(scope="module")
def exported(model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JSON file."""
    path = tmp_path_factory.mktemp("onnx") / "a.onnx"
    export_onnx(model.train(), path)
    assert model.training
    model.eval()
    return path.with_suffix(".json")


def session(file: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(file)


class Stepper:
    """Lines from the exported files alone: neither PyTorch nor this package."""

    def __init__(self, description: Path) -> None:
        self.facts = json.loads(description.read_text(encoding="utf-8"))
        self.step = self.facts["step"]
        self.session = session(description.parent / self.step["file"])

    def start(self, lines: int) -> tuple[Any, list[Any]]:
        """Logits after the boundary token, and the state: the same for every line."""
        start = self.facts["start"]
        state = [
            np.repeat(np.array(entry["data"], entry["type"]).reshape(entry["shape"]), lines, 0)
            for entry in start["state"].values()
        ]
        return np.repeat(np.array([start["logits"]], np.float32), lines, 0), state

    def next(self, token: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """Logits and state after one more token of each line."""
        inputs = zip(self.step["inputs"], [token, *state], strict=True)
        logits, *after = self.session.run(self.step["outputs"], dict(inputs))
        return logits, after


@torch.no_grad()
def test_onnxruntime_computes_the_same_logits_for_any_batch_and_length(model: LanguageModel, exported: Path) -> None:
    forward = session(exported.with_suffix(".onnx"))
    assert [(i.name, i.shape, i.type) for i in forward.get_inputs()] == [
        ("context", ["batch", "time"], "tensor(int64)")
    ]
    assert [(o.name, o.shape[:2]) for o in forward.get_outputs()] == [("logits", ["batch", "time"])]
    for shape in ((1, 1), (3, 7), (5, 2), (1, 6)):
        context = torch.randint(0, len(model.vocabulary), shape)
        context[:, 0] = 0
        (logits,) = forward.run(None, {"context": context.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), model(context), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("lines", [1, 3])
def test_steps_compute_the_logits_of_whole_lines(model: LanguageModel, exported: Path, lines: int) -> None:
    stepper = Stepper(exported)
    context = torch.randint(1, len(model.vocabulary), (lines, 7))
    context[:, 0] = 0
    logits, state = stepper.start(lines)
    found = [logits]
    for t in range(1, 7):
        logits, state = stepper.next(context[:, t].numpy(), state)
        found.append(logits)
    torch.testing.assert_close(torch.from_numpy(np.stack(found, 1)), model(context), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["BagOfWords", "Transformer"])
def test_a_model_of_lines_of_one_character_is_exported(name: str, tmp_path: Path) -> None:
    """These read two positions, and no more."""
    model = perturbed(ARCHITECTURES[name](CHARACTERS, 2))
    export_onnx(model, tmp_path / "a.onnx")
    context = torch.tensor([[0, 1], [0, 2]])
    stepper = Stepper(tmp_path / "a.json")
    first, state = stepper.start(2)
    second, _ = stepper.next(context[:, 1].numpy(), state)
    (whole,) = session(tmp_path / "a.onnx").run(None, {"context": context.numpy()})
    for found in (np.stack((first, second), 1), whole):
        torch.testing.assert_close(torch.from_numpy(found), model(context), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in ("NGram", "Mixture")])
def test_a_line_starts_with_the_token_of_its_label(name: str, tmp_path: Path) -> None:
    vocabulary = Vocabulary(CHARACTERS, {"": 1, "M": 2, "F": 1})
    model = perturbed(ARCHITECTURES[name](vocabulary.plain, 7))
    export_onnx(model, tmp_path / "a.onnx")
    stepper = Stepper(tmp_path / "a.json")
    labels = stepper.facts["labels"]
    frequencies = {"": 0.25, "F": 0.25, "M": 0.5}
    assert labels == {label: {"id": vocabulary.start(label), "frequency": f} for label, f in frequencies.items()}
    context = torch.randint(1, len(vocabulary), (3, 7))
    context[:, 0] = torch.tensor([entry["id"] for entry in labels.values()])
    (whole,) = session(tmp_path / "a.onnx").run(None, {"context": context.numpy()})
    first = stepper.facts["first"]
    graph = session(tmp_path / first["file"])
    each = [graph.run(first["outputs"], {"token": token.numpy()}) for token in context[:, :1]]
    logits, *state = (np.concatenate(tensors) for tensors in zip(*each, strict=True))
    found = [logits]
    for t in range(1, 7):
        logits, state = stepper.next(context[:, t].numpy(), state)
        found.append(logits)
    for computed in (np.stack(found, 1), whole):
        torch.testing.assert_close(torch.from_numpy(computed), model(context), atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="session")
def onnxruntime_web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with sample.mjs and onnxruntime-web from npm: 150 MB, about six seconds."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm: apt-get install nodejs npm")
    directory = tmp_path_factory.mktemp("npm")
    shutil.copy(Path(__file__).with_name("sample.mjs"), directory)
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "onnxruntime-web@^1.20"]
    installed = subprocess.run(install, cwd=directory, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"npm cannot install onnxruntime-web: {installed.stderr[-200:]}")
    return directory


@pytest.mark.slow
@torch.no_grad()
def test_a_line_is_sampled_with_onnxruntime_web_alone(
    model: LanguageModel, exported: Path, onnxruntime_web: Path
) -> None:
    command = ["node", str(onnxruntime_web / "sample.mjs"), str(exported)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["line"] == drafts(model, 1, temperature=0, max_length=6)[0].text
    context = torch.tensor([[0, *model.vocabulary.encode(found["line"]).tolist()]])
    torch.testing.assert_close(torch.Tensor(found["logits"]), model(context)[0, -1], atol=1e-5, rtol=1e-5)


def test_a_model_that_searches_in_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this NGram looks up tables, which ONNX cannot: export a network"):
        export_onnx(ARCHITECTURES["NGram"]("ab", 4), tmp_path / "a.onnx")
