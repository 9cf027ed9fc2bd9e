"""Notebooks show models and samples as HTML that refers to nothing outside, and no noise."""

import base64
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from sequentia.models import Bigram
from sequentia.reporting.heatmap import next_probabilities
from sequentia.reporting.notebook import Texts, model_html
from sequentia.runs.checkpoint import load
from tests.conftest import NAMES, bigram

TABLE = [[0.0, 0.75, 0.25], [1.0, 0.0, 0.0], [0.5, 0.25, 0.25]]


class Text(HTMLParser):
    """The text of HTML, one item per element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def test_samples_are_a_list_of_strings_that_a_notebook_shows_escaped() -> None:
    samples = Bigram("ab", 4).sample(3, seed=1)
    assert isinstance(samples, list)
    assert samples == list(samples)
    assert Text(Texts(["<b>&", "", "a\x1b[2J"])._repr_html_()).found == ["<b>&", "empty", r"a\x1b[2J"]
    assert Text(Texts(["a"] * 203)._repr_html_()).found == ["a"] * 200 + ["and 3 more"]


def test_a_model_is_shown_with_its_size_its_options_and_the_probability_of_each_pair() -> None:
    model = bigram(TABLE, "<b")
    html = model_html(model)
    assert Text(html).found[:5] == [
        "Bigram with 9 parameters",
        "vocabulary",
        "3 with the boundary",
        "context_length",
        "16",
    ]
    svg = ElementTree.fromstring(html[html.index("<svg") :])
    assert [text.text for text in svg.iter("text")] == [label for label in "·<b" for _ in range(2)]
    (image,) = re.findall(r"base64,([^\"]+)", html)
    pixels = matplotlib.image.imread(BytesIO(base64.b64decode(image)))[:, :, 0]
    order = np.argsort(next_probabilities(model).numpy().ravel(), kind="stable")
    assert (np.diff(pixels.ravel()[order]) <= 0).all()  # the more probable, the less red
    assert pixels.shape == (3, 3)


def test_a_large_vocabulary_has_no_labels_and_a_larger_one_no_image() -> None:
    assert "<text" not in model_html(Bigram("".join(map(chr, range(1000, 1100))), 4))
    assert "<svg" not in model_html(Bigram("".join(map(chr, range(1000, 1600))), 4))


def test_a_model_of_a_run_is_shown_with_the_curves_of_the_run(trained: Path, tmp_path: Path) -> None:
    html = model_html(load(trained))
    assert html.count("<svg") == 2
    assert "training" in re.sub("<!-- (.*?) -->", r"\1", html[html.rindex("<svg") :])
    copy = tmp_path / "best.ckpt"
    copy.write_bytes((trained / "best.ckpt").read_bytes())
    assert model_html(load(copy)).count("<svg") == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel's own process
def test_a_notebook_trains_and_shows_a_model_without_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    lines = f"sequentia.fit({NAMES * 3}, model='Bigram', max_steps=4, accelerator='cpu', data__batch_size=8)"
    cells = [f"import sequentia\nmodel = {lines}", "model", "model.sample(3)", "model.score(['emma'])"]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    NotebookClient(notebook, timeout=100, resources={"metadata": {"path": tmp_path}}).execute()
    trained, model, samples, scores = (cell.outputs for cell in notebook.cells)
    assert {output.name for output in trained} == {"stderr"}
    log = "".join(output.text for output in trained)
    assert log.startswith("starting run checkpoints/bigram/version_0: Bigram with 169 parameters\n")
    assert re.findall(r"step (\d+)  train/loss", log) == ["1", "2", "3", "4"]
    assert not re.search("warn|IProgress|%|\r", log, re.IGNORECASE)
    assert "<svg" in model[0].data["text/html"]
    assert "<div" in samples[0].data["text/html"]
    assert scores[0].data["text/plain"].startswith("[Score('emma', nll=")
