"""The page "Letter by letter" shows the probabilities of the models whose weights it has."""

import base64
import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from sequentia import CharDataModule
from sequentia.export.html import read
from sequentia.models import ARCHITECTURES, BigramCounts, LanguageModel
from tests.browser import console_errors
from tests.docs.pages import DOCS

LIVE = DOCS / "live"
CONTENT = json.loads((LIVE / "models.json").read_text(encoding="utf-8"))
NAME = "charlotte"

SHOWN = "return Array.from(document.querySelectorAll(arguments[0]), (e) => Number(e.style.getPropertyValue('--p')))"


@cache
def tensors() -> dict[str, torch.Tensor]:
    """The numbers of the stored file."""
    data, found, position = gzip.decompress(base64.b64decode(CONTENT["bytes"])), {}, 0
    for name, dtype, shape in CONTENT["tensors"]:
        array = np.frombuffer(data, f"<{dtype}", int(np.prod(shape)), position).reshape(shape)
        found[name] = torch.from_numpy(array.astype(np.float32 if dtype == "f2" else np.int64))
        position += array.nbytes
    assert position == len(data)
    return found


@cache
def stored(name: str) -> LanguageModel:
    """A model of the page, made by the package."""
    description = CONTENT["models"][name]
    options = {key: value for key, value in description["options"].items() if key != "members"}
    model = ARCHITECTURES[description["architecture"]](CONTENT["characters"], **options)
    own = {key.removeprefix(f"{name}."): w for key, w in tensors().items() if key.startswith(f"{name}.")}
    missing = model.load_state_dict(own, strict=False).missing_keys
    assert missing in ([], ["head.weight"])  # tied to the embedding
    return model.eval()


def probabilities(model: LanguageModel, text: str, temperature: float = 1) -> list[list[float]]:
    """Of the next letter, at the start of a text and after each of its letters."""
    with torch.no_grad():
        logits = model(torch.tensor([[0, *model.vocabulary.encode(text).tolist()]]))[0]
    return (logits.double() / temperature).softmax(-1).tolist()


def fragment() -> str:
    """What the build of the site adds to the page."""
    variables: dict[str, Any] = {"__file__": str(LIVE / "live_page.py")}
    exec((LIVE / "live_page.py").read_text(encoding="utf-8"), variables)
    return variables["fragment"]()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The HTML of the page, without its text and the theme."""
    text = (DOCS / "letter_by_letter.md").read_text(encoding="utf-8")
    parts = re.findall(r"(?ms)^```\{raw\} html\n(.*?)^```$", text)
    path = tmp_path_factory.mktemp("page") / "page.html"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>page</title>'
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    path.write_text("".join((head, viewport, *parts, fragment())), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Chrome, path: Path) -> Chrome:
    """The browser with the page, after its models have been unpacked."""
    browser.get(path.as_uri())
    WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#two .map"))
    return browser


def choose(page: Chrome, part: str, value: str) -> None:
    """Choose a model, or a number of steps."""
    page.execute_script("document.querySelector(`#${arguments[0]} [value='${arguments[1]}']`).click()", part, value)


def set_value(page: Chrome, field: str, value: str) -> None:
    """Fill in a field as a person does."""
    page.execute_script(
        "const f = document.getElementById(arguments[0]); f.value = arguments[1];"
        "for (const type of ['input', 'change']) f.dispatchEvent(new Event(type, { bubbles: true }))",
        field,
        value,
    )


def learned(page: Chrome, steps: int) -> tuple[float, np.ndarray]:
    """NLL and probabilities of the learned table after some steps."""
    choose(page, "two", str(steps))
    nll = page.find_element(By.CSS_SELECTOR, "#two figure:last-child b").text
    return float(nll), np.array(page.execute_script(SHOWN, "#two figure:last-child [role=gridcell]")).reshape(27, 27)


def test_the_models_are_small() -> None:
    assert (LIVE / "models.json").stat().st_size <= 300_000


def test_the_nll_of_new_names_is_that_of_the_stored_weights() -> None:
    data = CharDataModule("names")
    scores = stored("transformer").score([data.corpus.line(i) for i in data.split.test])
    nll = sum(score.nll for score in scores) / sum(len(score.log_probs) for score in scores)
    assert nll == pytest.approx(CONTENT["models"]["transformer"]["test_nll"], abs=1e-4)


def test_on_new_names_each_model_is_better_than_the_one_before() -> None:
    nlls = [model["test_nll"] for model in CONTENT["models"].values()]
    assert nlls == sorted(nlls, reverse=True)


def test_the_stored_counts_are_those_of_the_training_names() -> None:
    data = CharDataModule("names", batch_size=100_000)
    counted = BigramCounts(data.vocabulary.characters, data.context_length)
    for batch in data.train_dataloader():
        counted.count(batch)
    assert torch.equal(tensors()["pairs.counts"], counted.counts)


def test_a_name_is_colored_by_the_probabilities_of_the_stored_models(page: Chrome) -> None:
    set_value(page, "own-name", NAME)
    expected = []
    for name in CONTENT["models"]:
        model = stored(name)
        tokens = [*model.vocabulary.encode(NAME).tolist(), 0]
        expected += [row[token] for row, token in zip(probabilities(model, NAME), tokens, strict=True)]
    assert page.execute_script(SHOWN, "#own [role=gridcell]") == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_each_row_has_the_nll_per_character_of_its_model(page: Chrome) -> None:
    set_value(page, "own-name", "Zoë!")
    shown = [row.text for row in page.find_elements(By.CSS_SELECTOR, "#own .nll")]
    for name, text in zip(CONTENT["models"], shown, strict=True):
        (score,) = stored(name).score(["zoe"])
        assert text.startswith(f"NLL {score.nll / 4:.2f}")


def test_a_letter_shows_what_each_model_expected_most(page: Chrome) -> None:
    set_value(page, "own-name", NAME)
    page.execute_script("document.querySelectorAll('#own [role=gridcell]')[4].focus()")
    lists = page.find_elements(By.CSS_SELECTOR, "#own .expected ol")
    for name, shown in zip(CONTENT["models"], lists, strict=True):
        model = stored(name)
        most = torch.tensor(probabilities(model, NAME)[4]).topk(5).indices.tolist()
        letters = [li.find_element(By.TAG_NAME, "b").text for li in shown.find_elements(By.TAG_NAME, "li")]
        assert letters == [("." + CONTENT["characters"])[i] for i in most]


def test_what_the_models_do_not_know_is_left_out_and_said(page: Chrome) -> None:
    set_value(page, "own-name", "Zoë 2")
    shown = page.execute_script(
        "return Array.from(document.querySelectorAll('#own .letters > *'), (e) => e.firstChild.data)"
    )
    assert "".join(shown) == "zoe." * 4
    assert "a to z" in page.find_element(By.ID, "own-note").text


@pytest.mark.parametrize("model", CONTENT["models"])
@pytest.mark.parametrize("temperature", [0.5, 1])
def test_the_bars_are_the_probabilities_at_the_temperature(page: Chrome, model: str, temperature: float) -> None:
    choose(page, "next", model)
    set_value(page, "temperature", str(temperature))
    for letter in "qu":
        page.execute_script(f"document.querySelectorAll('.bars button')[{ord(letter) - ord('a') + 1}].click()")
    assert page.find_element(By.CSS_SELECTOR, "#next .text").text == "qu"
    expected = probabilities(stored(model), "qu", temperature)[-1]
    assert page.execute_script(SHOWN, "#next .bars button") == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_a_draw_adds_the_letter_that_the_random_number_points_to(page: Chrome) -> None:
    before = np.cumsum(page.execute_script(SHOWN, "#next .bars button"))
    page.execute_script("document.getElementById('draw-letter').click()")
    at = float(page.execute_script("return document.querySelector('.mark').style.getPropertyValue('--at')"))
    letter = ("." + CONTENT["characters"])[int(np.searchsorted(before, at, "right"))]
    text = WebDriverWait(page, 5).until(lambda b: b.find_element(By.CSS_SELECTOR, "#next .text").text)
    assert text == letter


def test_the_same_seed_draws_the_same_name(page: Chrome) -> None:
    names = []
    for seed in ("7", "8", "7"):
        set_value(page, "seed", seed)
        page.execute_script(
            "window.setTimeout_ ??= setTimeout; window.setTimeout = (f) => setTimeout_(f);"
            "document.querySelector('#next .drawn span').textContent = '';"
            "document.getElementById('draw-name').click()"
        )
        drawn = WebDriverWait(page, 20).until(
            lambda b: b.execute_script("return document.querySelector('#next .drawn span').textContent")
        )
        names.append(drawn)
    assert names[0] == names[2] != names[1]


def test_a_cell_says_its_pair_in_words_and_the_arrow_keys_lead_to_the_next(page: Chrome) -> None:
    counts = tensors()["pairs.counts"]
    page.execute_script(f"document.querySelectorAll('#pairs [role=gridcell]')[{16 * 27 + 22}].focus()")
    for key in (Keys.ARROW_DOWN, Keys.ARROW_LEFT):
        page.switch_to.active_element.send_keys(key)
    said = page.find_element(By.CSS_SELECTOR, "#pairs .says").text
    count, total = int(counts[17, 21]), int(counts[17].sum())
    assert said.startswith(f"After “q” comes “u”: {count / total:.0%} ({count} of {total} times)")
    assert page.switch_to.active_element.accessible_name in said


def test_the_learned_table_approaches_the_counted_one(page: Chrome) -> None:
    counted = np.array(page.execute_script(SHOWN, "#two figure:first-child [role=gridcell]")).reshape(27, 27)
    best = float(page.find_element(By.CSS_SELECTOR, "#two figure:first-child b").text)
    (first, far), (second, nearer), (last, near) = (learned(page, steps) for steps in (1, 10, 200))
    assert first > second > last > best > last - 0.02
    distances = [np.abs(table - counted).sum() for table in (far, nearer, near)]
    assert distances[0] > distances[1] > distances[2]


def test_counting_has_the_nll_of_the_package(page: Chrome) -> None:
    counted = BigramCounts(CONTENT["characters"], 16, smoothing=0)
    counted.load_state_dict({"counts": tensors()["pairs.counts"]})
    shown = page.find_element(By.CSS_SELECTOR, "#two figure:first-child b").text
    assert shown == f"{float(counted.mean_nll()):.4f}"


def test_the_scripts_are_those_of_the_exported_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert all(read(name) in text for name in ("numbers.js", "drawing.js", "models/transformer.js"))
    assert "class Prefix" not in (LIVE / "page.js").read_text(encoding="utf-8")


def test_the_page_loads_nothing(page: Chrome) -> None:
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert console_errors(page) == []


def test_everything_that_can_be_used_has_a_name(page: Chrome) -> None:
    of_each_kind = (
        "input, .controls button, .bars button:first-child, [role=grid], [role=gridcell][tabindex='0'], .bars"
    )
    for element in page.find_elements(By.CSS_SELECTOR, of_each_kind):
        assert element.accessible_name


def test_nothing_is_wider_than_a_phone(page: Chrome) -> None:
    phone = {"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        set_value(page, "own-name", "m" * 20)
        assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
