"""Notebooks show a model as HTML that refers to nothing outside, and no noise."""

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient

from sequentia.models import GRU, Bigram
from sequentia.reporting.notebook import model_html, show_models
from sequentia.runs.checkpoint import load
from tests.conftest import NAMES

OWN = """
import torch

class Tiny(sequentia.LanguageModel):
    def __init__(self, vocabulary, context_length):
        super().__init__(vocabulary, context_length)
        self.save_hyperparameters(logger=False)
        self.table = torch.nn.Embedding(len(self.vocabulary), len(self.vocabulary))

    def forward(self, context, position=None):
        return self.table(context)

    def step(self, token, state=None):
        return self.table(token), ()

sequentia.fit(LINES, model=Tiny, OPTIONS)
again = sequentia.load("checkpoints/tiny")
print(len(again.sample(2)), "samples of", type(again).__name__)
"""


class Text(HTMLParser):
    """The text of HTML, one item per element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def test_a_model_is_shown_with_its_size_its_options_and_its_heat_map() -> None:
    html = model_html(Bigram("<b", 16))
    size, *options = Text(html).found[:5]
    assert size == "Bigram with 9 parameters"
    assert options == ["vocabulary", "3 with the boundary", "context_length", "16"]
    assert html.count("<svg") == 1
    assert not re.search(r"(href|src)=\"(?!#|data:)|<script", html)


def test_a_vocabulary_too_large_to_draw_has_no_heat_map() -> None:
    assert "<svg" not in model_html(Bigram("".join(map(chr, range(1000, 1600))), 4))


def test_a_model_of_a_run_is_shown_with_the_curves_of_the_run(trained: Path, tmp_path: Path) -> None:
    html = model_html(load(trained))
    assert html.count("<svg") == 2
    assert "training" in re.sub("<!-- (.*?) -->", r"\1", html[html.rindex("<svg") :])
    copy = tmp_path / "best.ckpt"
    copy.write_bytes((trained / "best.ckpt").read_bytes())
    assert model_html(load(copy)).count("<svg") == 1


def test_a_running_ipython_shows_models_of_every_architecture_and_nothing_else_as_html(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    formatter = DisplayFormatter()
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(display_formatter=formatter))
    show_models()
    model = GRU("ab", 4)

    def html(value: object) -> str:
        return formatter.format(value)[0].get("text/html", "")

    assert "<svg" in html(model)
    assert not html(model.sample(2))
    assert not html(model.embedding)
    assert ["background:" in html(score) for score in model.score(["ab", "ab?"])] == [False, True]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel's own process
def test_a_notebook_trains_and_shows_a_model_without_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    options = "max_steps=4, accelerator='cpu', data__batch_size=8, data__val_fraction=0.5"
    lines = f"sequentia.fit({NAMES * 3}, model='Bigram', {options})"
    cells = [
        f"import sequentia\nmodel = {lines}",
        "model",
        "model.score(['emma'])",
        "sequentia.evaluate(model, split='val')",
        "figure = sequentia.draw(model, 'curves')\nfigure",
        "figure",
    ]
    cells += [OWN.replace("LINES", repr(NAMES * 3)).replace("OPTIONS", options)]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    NotebookClient(notebook, timeout=100, resources={"metadata": {"path": tmp_path}}).execute()
    trained, model, scores, metrics, *pictures, own = (cell.outputs for cell in notebook.cells)
    assert {output.get("name", "curves") for output in trained} == {"stdout", "curves"}
    log = "".join(output.text for output in trained if "text" in output)
    assert log.startswith("starting run checkpoints/bigram/version_0: Bigram with 169 parameters\n")
    assert re.findall(r"step (\d+)  train/loss", log)[-1] == "4"
    assert re.search(r"4/4  val/loss \S+  train/loss \S+ \|█+\| 00:\d\d<00:00, +\d+\.\d\d steps/s", log)
    assert not re.search("warn|IProgress|--(?!logdir )", log, re.IGNORECASE)  # options have their names in Python
    assert "<svg" in trained[-1].data["text/html"]
    assert re.match("<pre>metric +value +meaning\nval/loss ", metrics[0].data["text/html"])
    for outputs in pictures:  # once, wherever in a cell
        assert ["<svg" in output.data["text/html"] for output in outputs] == [True]
    assert own[-1].text.splitlines()[-1] == "2 samples of Tiny"
    assert "<svg" in model[0].data["text/html"]
    assert scores[0].data["text/plain"].startswith("[Score('emma', nll=")
