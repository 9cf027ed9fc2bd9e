"""What chapters 8 to 11 share. Each of these pages contains it, so that it also runs alone."""

from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from IPython.utils.capture import capture_output

import sequentia
from sequentia import CharDataModule
from sequentia.models import LanguageModel

data = CharDataModule("names")
test_lines = [data.corpus.line(i) for i in data.split.test]
val_lines = [data.corpus.line(i) for i in data.split.val]
short: dict[str, tuple[int, float]] = {}  # config -> number of steps on this page, and the validation NLL after them


def nll(model: LanguageModel, lines: list[str]) -> float:
    """The mean NLL of a character."""
    scores = model.score(lines)
    return sum(s.nll for s in scores) / sum(len(s.log_probs) for s in scores)


def train(config: str, **options: Any) -> Any:
    """Train a shipped config; print the test NLL and ten samples."""
    with capture_output():  # no log lines and curves of these short trainings
        model = sequentia.fit("names", config=config, extra_metrics=False, **options)
    if "max_steps" in options:
        short[config] = options["max_steps"], nll(model, val_lines)
    print(f"{config}: NLL {nll(model, test_lines):.3f}")
    print(", ".join(model.sample(10, seed=1)))
    return model


def ids_of(text: str) -> list[int]:
    """The numbers of the characters, after the boundary."""
    return [0, *data.vocabulary.encode(text).tolist()]


def next_of(model: LanguageModel, text: str) -> torch.Tensor:
    """What the package's model expects after a text: a probability for each character."""
    return F.softmax(model(torch.tensor([ids_of(text)]))[0, -1], 0)


def chart(steps: list[int], curves: dict[str, list[float]], *configs: str) -> None:
    """Validation NLLs of full trainings as lines, and of this page's as dots; all but the given configs are gray."""
    _, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for config, nlls in curves.items():
        style: dict[str, Any] = {"color": "0.85", "zorder": 1}
        if config in configs:
            style = {"color": f"C{configs.index(config)}", "label": f"{config} {nlls[-1]:.2f}"}
        if len(nlls) > 1:
            axes.plot(steps, nlls, **style)
        else:  # counted
            axes.axhline(nlls[0], linestyle="--", **style)
        if config in short:
            axes.plot(*short[config], "o", color=style["color"])
    axes.set(
        xscale="log",
        xticks=steps[::4],
        xticklabels=[f"{n:,}" for n in steps[::4]],
        xlabel="steps",
        ylabel="validation NLL",
    )
    axes.minorticks_off()
    axes.legend(frameon=False, title="in the end")


def diagram(boxes: dict[Any, tuple[float, float, str]], arrows: list[tuple[Any, Any, float]]) -> None:
    """Draw boxes, each with a column, a row and a text (none: a dot), and arrows from box to box of some strength."""
    columns, rows, _ = zip(*boxes.values(), strict=True)
    sizes = [max(values) - min(values) + 1 for values in (columns, rows)]
    _, axes = plt.subplots(figsize=(0.55 * sizes[0], 0.7 * sizes[1]))
    axes.set(xlim=(min(columns) - 0.5, max(columns) + 0.5), ylim=(min(rows) - 0.5, max(rows) + 0.5))
    axes.axis("off")
    drawn = {}
    for name, (x, y, text) in boxes.items():
        box = {"boxstyle": "round" if text else "circle", "facecolor": "#dbeafe" if text == "?" else "white"}
        drawn[name] = axes.text(x, y, text, ha="center", va="center", family="monospace", fontsize=12, bbox=box)
    for start, end, strength in arrows:
        style: dict[str, Any] = {"patchA": drawn[start].get_bbox_patch(), "patchB": drawn[end].get_bbox_patch()}
        style |= {"arrowstyle": "-|>", "linewidth": 0.5 + 4 * strength, "color": f"{0.6 * (1 - strength):.2f}"}
        axes.annotate("", boxes[end][:2], boxes[start][:2], arrowprops=style | {"shrinkA": 1, "shrinkB": 1})
