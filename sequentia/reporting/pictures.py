"""Pictures of a trained model: its embedding and its attention maps. The heat map has a module of its own."""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from sequentia.errors import UserError
from sequentia.inference.model import evaluating
from sequentia.inference.sampling import drafts
from sequentia.models import LanguageModel, Transformer
from sequentia.reporting.curves import FONT
from sequentia.reporting.heatmap import check_drawable, label, label_name, most_frequent_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAPS = 8  # attention maps of a line; more would be too small to read
_LONGEST = 24  # characters of the sampled line
_WIDTH = 10.0  # inches of maps side by side; letters of a wider figure could not be read when it is 700 pixels wide


@torch.inference_mode()
def draw_embedding(model: LanguageModel) -> "Figure":
    """The characters, and the labels in blue, at the first two principal components of their embedding.

    Tokens that are used alike are close together.

    Raises:
        UserError: The model has no embedding that can be drawn, or its vocabulary is too large.
    """
    from matplotlib.figure import Figure

    check_drawable(model)
    dims = model.vocabulary_dims()
    tables = (module.weight for module in model.modules() if isinstance(module, nn.Embedding))
    embedding = next((weight for weight in tables if weight in dims), None)
    if embedding is None or not embedding.isfinite().all():
        raise UserError(f"{type(model).__name__} has no embedding to draw")
    V, shown = len(model.vocabulary), most_frequent_labels(model.vocabulary)
    names = [".", *map(label, model.vocabulary.characters), *(label_name(model.vocabulary.labels[k]) for k in shown)]
    vectors = embedding[[*range(V), *(V + k for k in shown)]].float().cpu()
    left, singular, _ = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    points = F.pad(left * singular, (0, 1))[:, :2]
    variance = singular.square() / singular.square().sum()
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(points[:, 0], points[:, 1], alpha=0)  # scales the axes
    for i, ((x, y), name) in enumerate(zip(points.tolist(), names, strict=True)):
        style: dict[str, Any] = {"fontsize": 14} if i < V else {"fontsize": 9, "color": "#1d4ed8"}
        axes.text(x, y, name, ha="center", va="center", fontfamily=FONT, parse_math=False, **style)
    axes.set_title(f"{type(model).__name__}: embedding, {float(variance[:2].sum()):.0%} of its variance")
    axes.set(xlabel="first principal component", ylabel="second principal component")
    return figure


@torch.inference_mode()
def draw_attention(model: LanguageModel, text: str | None = None) -> "Figure":
    """Attention maps of a line: which characters (columns) each character (row) reads, for each layer and head.

    Of more than 8 maps, the first heads of each layer are drawn.

    Args:
        model: The model.
        text: The line, of characters of its vocabulary, read with the most frequent label; by default the longest of
            ten samples.

    Raises:
        UserError: No part of the model is a Transformer, or `text` has unknown characters.
    """
    from matplotlib.figure import Figure

    transformer = next((module for module in model.modules() if isinstance(module, Transformer)), None)
    if transformer is None:
        raise UserError(f"{type(model).__name__} has no attention to draw")
    starts, frequencies = model.vocabulary.starts()
    start = int(starts[frequencies.argmax()])
    if text is None:
        drawn = drafts(model, 10, seed=0, max_length=min(_LONGEST, model.context_length - 1))
        sample = max(drawn, key=lambda sample: len(sample.text))
        start, text = model.vocabulary.start(sample.label), sample.text
    context = torch.tensor([[start, *model.vocabulary.encode(text)]], device=model.device)
    with evaluating(transformer):
        maps = transformer.attention(context)[0].float().cpu()  # (layers, heads, T, T)
    layers, heads = len(maps), max(1, min(maps.shape[1], _MAPS // len(maps)))
    names = [label_name(model.vocabulary.label(start)) or ".", *map(label, text)]
    side = max(2.0, 0.2 * len(names))  # inches
    columns = max(n for n in range(1, heads + 1) if heads % n == 0 and n * side <= max(side, _WIDTH))
    rows = layers * heads // columns
    figure = Figure(figsize=(side * columns + 1, (side + 0.3) * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for i, axes in enumerate(grid.flat):
        layer, head = divmod(i, heads)
        image = axes.imshow(maps[layer, head].numpy(), cmap="Blues", vmin=0, vmax=1)
        axes.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=10, fontfamily=FONT)
        for set_ticks in (axes.set_xticks, axes.set_yticks):
            set_ticks(range(len(names)), names, fontsize=10, fontfamily=FONT, parse_math=False)
        axes.get_xticklabels()[0].set_rotation(90 if len(names[0]) > 1 else 0)  # a label is long
        axes.tick_params(length=0)
    figure.colorbar(image, ax=grid, fraction=0.05, aspect=40).set_label("weight of a character read", fontfamily=FONT)
    figure.supxlabel("characters read", fontsize=10, fontfamily=FONT)
    figure.supylabel("characters that read", fontsize=10, fontfamily=FONT)
    return figure
