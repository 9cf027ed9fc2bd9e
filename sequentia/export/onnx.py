"""Model -> ONNX graphs, for a whole line and for one step, and a JSON file about them."""

import json
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sequentia.errors import UserError
from sequentia.export.output import creating, optional_module
from sequentia.inference.model import evaluating
from sequentia.models import LanguageModel, NGram
from sequentia.vocabulary import BOUNDARY

_OPSET = 18  # the newest ONNX opset that PyTorch's tracing exporter writes

_LINES = 2  # of the traced example; 1 might be taken for a dimension of fixed size


def export_onnx(model: LanguageModel, out: Path) -> None:
    """Write `OUT.onnx`, `OUT.step.onnx` and `OUT.json`.

    - `OUT.onnx` is `forward`: `context` (batch, time) int64 -> `logits` (batch, time, V) float32.
    - `OUT.step.onnx` is `step`: `token` (batch,) int64 and the tensors `state_0`, ... -> `logits` (batch, V) and the
      tensors `next_state_0`, ..., which are the state of the next step.
    - `OUT.json` has `architecture`, `characters` (the vocabulary; ids start at 1), `boundary` (the id of the boundary
      token), `context_length`, `max_positions`, and the names of the files, inputs and outputs. A line without a label
      starts with the boundary token, so the first step always has the same result, and `start` has it.

    If lines have labels, `OUT.json` also has `labels`: the id of each start token, and its frequency among the training
    lines. `OUT.first.onnx` is the first step of one line: `token` (1,) -> `logits` and `state_0`, ...

    PyTorch's tracing exporter is used because the one built on `torch.export` unrolls recurrent layers over the length
    of the example input (as of PyTorch 2.13).

    Args:
        model: Any network.
        out: The file of `forward`; none of the files may exist yet.

    Raises:
        UserError: The architecture cannot be exported, a file exists or cannot be written, or onnx is not installed.
    """
    if any(isinstance(module, NGram) for module in model.modules()):
        raise UserError(f"this {type(model).__name__} looks up tables, which ONNX cannot: export a network")
    optional_module("onnx")  # the exporter needs it
    vocabulary, stem = model.vocabulary, out.name.removesuffix(".onnx")
    names = out.name, f"{stem}.step.onnx", f"{stem}.json"
    with ExitStack() as stack:
        forward, step, description = (stack.enter_context(creating(out.with_name(name))) for name in names)
        stack.enter_context(evaluating(model))
        stack.enter_context(torch.no_grad())
        context = torch.zeros(_LINES, 2, dtype=torch.long, device=model.device)
        both = {0: "batch", 1: "time"}
        _trace(model, (context,), forward, {"context": both}, {"logits": both})

        token = torch.full((_LINES,), BOUNDARY, device=model.device)
        logits, first = model.step(token)  # of every line
        _, second = model.step(token, first)
        inputs, outputs = {"token": {0: "batch"}}, {"logits": {0: "batch"}}
        for i, (before, after) in enumerate(zip(first, second, strict=True)):
            grows = [dim for dim in range(1, after.ndim) if before.shape[dim] != after.shape[dim]]
            inputs[f"state_{i}"] = {0: "batch"} | dict.fromkeys(grows, f"time_{i}")
            outputs[f"next_state_{i}"] = {0: "batch"} | dict.fromkeys(grows, f"next_time_{i}")
        _trace(_Step(model).eval(), (token, *first), step, inputs, outputs)
        of_labels: dict[str, Any] = {}
        if vocabulary.labels:
            file = out.with_name(f"{stem}.first.onnx")
            results: list[str] = ["logits", *list(inputs)[1:]]
            # A single line: the tracer bakes in the size of the state that a model makes.
            graph = stack.enter_context(creating(file))
            _trace(_Step(model).eval(), (token[:1],), graph, {"token": {}}, {name: {} for name in results})
            frequencies = vocabulary.label_counts / vocabulary.label_counts.sum()
            of_labels["labels"] = {
                label: {"id": vocabulary.start(label), "frequency": frequency}
                for label, frequency in zip(("", *vocabulary.labels), frequencies.tolist(), strict=True)
            }
            of_labels["first"] = {"file": file.name, "inputs": ["token"], "outputs": results}

        content = {
            "architecture": type(model).__name__,
            "characters": vocabulary.characters,
            "boundary": BOUNDARY,
            **of_labels,
            "context_length": model.context_length,
            "max_positions": model.max_positions,
            "forward": {"file": names[0], "inputs": ["context"], "outputs": ["logits"]},
            "step": {"file": names[1], "inputs": list(inputs), "outputs": list(outputs)},
            "start": {
                "logits": logits[0].tolist(),
                "state": {f"state_{i}": _plain(tensor[:1]) for i, tensor in enumerate(first)},
            },
        }
        description.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


class _Step(nn.Module):
    """`step` as a module whose `forward` takes and returns single tensors, as the exporter requires."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, token: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """The first step without a state, and otherwise the next one."""
        logits, after = self.model.step(token, state or None)
        return logits, *after


def _plain(tensor: Tensor) -> dict[str, Any]:
    """A tensor as plain values."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return {"type": dtype, "shape": list(tensor.shape), "data": tensor.flatten().tolist()}


def _trace(
    module: nn.Module,
    example: tuple[Tensor, ...],
    file: Path,
    inputs: dict[str, dict[int, str]],
    outputs: dict[str, dict[int, str]],
) -> None:
    """Write the graph of a module.

    Args:
        module: In evaluation mode.
        example: Its arguments.
        file: Where to write.
        inputs: Names of the arguments, each with the names of the dimensions that may have other sizes.
        outputs: Names of the results, with their dimensions.
    """
    with warnings.catch_warnings():
        # The tracer warns wherever it might bake in the example's sizes; tests compare other sizes too.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            str(file),
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=inputs | outputs,
        )
