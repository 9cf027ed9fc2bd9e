"""Figures of how a model predicts held-out lines: NLL by position, calibration, and attention maps."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from sequentia.data import CharDataModule
from sequentia.data.split import Lines
from sequentia.inference.batch import Batch
from sequentia.inference.model import evaluating
from sequentia.models import LanguageModel, Transformer
from sequentia.reporting.heatmap import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHARACTERS = 4_096  # of the lines that are predicted: enough to see the shape of a curve
_BINS = 10
_MAPS = 8  # attention maps of a line; more would be too small to read
_SIZE = (5.0, 4.0)  # inches


class Predictions(NamedTuple):
    """What a model predicts for N characters.

    Attributes:
        position: Index of each character in its line, from 0, `(N,)` long.
        nll: Negative log-likelihood of each character, `(N,)` float.
        confidence: Probability of the most probable character, `(N,)` float.
        correct: Whether it is the right one, `(N,)` bool.
    """

    position: Tensor
    nll: Tensor
    confidence: Tensor
    correct: Tensor


@torch.inference_mode()
def predict(model: LanguageModel, data: CharDataModule, lines: Lines) -> Predictions:
    """Predict the characters of some lines, of about 4,096 characters in all, taken at equal distances.

    Args:
        model: The model.
        data: Its data.
        lines: Indices of the lines, `(L,)`; at least one.
    """
    characters = int(data.corpus.num_targets(lines).sum())
    some = lines[:: max(1, characters // _CHARACTERS)]
    with evaluating(model):
        parts = [_predict(model, batch) for batch in data.eval_batches(some)]
    return Predictions(*(torch.cat(column).cpu() for column in zip(*parts, strict=True)))


def _predict(model: LanguageModel, batch: Batch) -> Predictions:
    context, target, position = (tensor.to(model.device) for tensor in (batch.context, batch.target, batch.position))
    log_probs = model(context, position).float().log_softmax(-1)  # (B, T, V)
    kept = target >= 0
    log_probs, target = log_probs[kept], target[kept]
    top = log_probs.max(-1)
    nll = -log_probs.gather(-1, target[:, None])[:, 0]
    return Predictions(position[kept], nll, top.values.exp(), top.indices == target)


def draw_nll_by_position(predictions: Predictions) -> "Figure":
    """Mean NLL of the characters at each position: where a line is hard to predict."""
    from matplotlib.figure import Figure

    size = int(predictions.position.max()) + 1
    sums = torch.zeros(size).index_add(0, predictions.position, predictions.nll)
    counts = torch.bincount(predictions.position, minlength=size)
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.stairs((sums / counts).tolist(), [i + 0.5 for i in range(size + 1)], fill=True)
    axes.set(xlabel="position in the line", ylabel="NLL in nats", title="NLL by position")
    return figure


def draw_calibration(predictions: Predictions) -> "Figure":
    """How often the most probable character is right, by its probability: ideally as often as the probability says.

    Source: Guo et al., "On calibration of modern neural networks", 2017 (reliability diagram).
    """
    from matplotlib.figure import Figure

    bins = (predictions.confidence * _BINS).long().clamp(max=_BINS - 1)
    counts = torch.bincount(bins, minlength=_BINS)
    confidence = torch.zeros(_BINS).index_add(0, bins, predictions.confidence) / counts
    accuracy = torch.zeros(_BINS).index_add(0, bins, predictions.correct.float()) / counts
    filled = counts > 0
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), color="0.7", linestyle="--")
    axes.plot(confidence[filled].tolist(), accuracy[filled].tolist(), marker="o")
    axes.set(xlabel="probability of the most probable character", ylabel="accuracy", title="calibration")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return figure


@torch.inference_mode()
def draw_attention(model: LanguageModel, text: str) -> "Figure | None":
    """Attention maps of a line: which characters (columns) each character (row) reads, for each layer and head.

    Args:
        model: The model.
        text: The line, of characters of its vocabulary.

    Returns:
        None if no part of the model is a Transformer. Of more than 8 maps, the first heads of each layer.
    """
    from matplotlib.figure import Figure

    context = torch.tensor([[0, *model.vocabulary.encode(text)]], device=model.device)
    transformer = next((module for module in model.modules() if isinstance(module, Transformer)), None)
    if transformer is None:
        return None
    with evaluating(transformer):
        maps = transformer.attention(context)
    layers, heads = maps.shape[1], max(1, min(maps.shape[2], _MAPS // maps.shape[1]))
    labels = [".", *map(label, text)]
    figure = Figure(figsize=(1.9 * heads, 2 * layers), layout="constrained")
    grid = figure.subplots(layers, heads, squeeze=False)
    for layer in range(layers):
        for head in range(heads):
            axes = grid[layer, head]
            axes.imshow(maps[0, layer, head].float().cpu().numpy(), cmap="Blues", vmin=0, vmax=1)
            axes.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=8)
            axes.set_xticks(range(len(labels)), labels, fontsize=7, parse_math=False)
            axes.set_yticks(range(len(labels)), labels, fontsize=7, parse_math=False)
            axes.tick_params(length=0)
    return figure
