"""The exported page computes the model's probabilities in the browser, and people can use it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from sequentia.data.hashing import distinct, hash_texts
from sequentia.errors import UserError
from sequentia.export import export_html
from sequentia.export.html import bloom_filter
from sequentia.inference.batch import encode, row
from sequentia.models import ARCHITECTURES, LanguageModel, Transformer
from sequentia.models.counting import Counting
from sequentia.vocabulary import Vocabulary
from tests.browser import console_errors
from tests.inference.enumeration import LINES, chi_square_test, probabilities, uneven

CHARACTERS = "\n \"&'.</>abcptsé\u2028😀"
"""Characters special to HTML and JavaScript, the letters of `</script>`, and a character outside the basic plane."""

LOG_PROBS = """
let state;
return Promise.resolve(opened).then(() => arguments[0].map((token) => {
  let logits;
  [logits, state] = model.step(token, state);
  return Array.from(softmax(logits), Math.log);
}));
"""

DRAWS = """
const [settings, count] = arguments, random = randomNumbers(1), lines = [];
return (async () => {
  await opened;
  while (lines.length < count) {
    const line = await drawLine(settings, random);
    if (line && fits(line, settings)) lines.push(line.join(""));
  }
  return lines;
})();
"""

MODELS: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in ARCHITECTURES if "." not in name} | {
    "untied": ("Transformer", {"tied": False}),
    "CNN": ("CNN", {"n_layer": 5}),
    "LSTM": ("LSTM", {"n_layer": 2}),
    "unigrams": ("NGram", {"order": 1}),
}


LABELS = {"": 2, "10": 1, "9": 0, "</F>": 4}
"""Not in the order of numbers; one is special to HTML, and no line has one of them any more."""


def trained(architecture: str = "Transformer", labels: dict[str, int] | None = None, **options: Any) -> LanguageModel:
    """A model whose weights are far from their initialization, and exact in half precision."""
    torch.manual_seed(1)
    vocabulary = Vocabulary("".join(sorted(CHARACTERS)), labels or {})
    model = ARCHITECTURES[architecture](vocabulary.plain, 24, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        for numbers in (*model.parameters(), *model.buffers()):
            if numbers.is_floating_point():
                numbers.copy_(numbers.half())
    generator = np.random.default_rng(1)
    lines = ["".join(generator.choice([*CHARACTERS], size=size)) for size in generator.integers(1, 9, 200)]
    batch = row(*encode(model.vocabulary, sorted(lines * 2 + lines[:50])))
    starts, _ = vocabulary.starts()  # the first characters of a line say much about its label
    batch.context[batch.position == 0] = torch.from_numpy(starts.repeat(450 // len(starts)))
    for module in model.modules():
        if isinstance(module, Counting):
            module.count(batch)
    return model.eval()


def opened(browser: Chrome, model: LanguageModel, path: Path, fragment: str = "") -> Chrome:
    """The browser with the page of a model, when it shows lines or a message."""
    export_html(model, path)
    browser.get("about:blank")
    browser.get(path.as_uri() + fragment)
    wait(browser)
    return browser


def wait(browser: Chrome) -> str:
    """Wait until the search for lines has ended; returns its result, or the problem with a field."""
    ended = "return document.getElementById('status').textContent || document.getElementById('error').textContent"
    return str(WebDriverWait(browser, 20).until(lambda b: b.execute_script(ended)))


def shown_lines(browser: Chrome) -> list[str]:
    """The lines on the page."""
    return browser.execute_script("return Array.from(document.querySelectorAll('#lines .star'), (s) => s.dataset.text)")


def generate(browser: Chrome, **fields: str) -> list[str]:
    """Fill in fields, generate, wait, and return the lines."""
    browser.execute_script(
        "for (const [id, v] of Object.entries(arguments[0])) document.getElementById(id).value = v", fields
    )
    browser.find_element(By.CSS_SELECTOR, "[type=submit]").click()
    wait(browser)
    return shown_lines(browser)


@pytest.fixture
def page(browser: Chrome, tmp_path: Path) -> Chrome:
    """The browser with the page of a small Transformer."""
    return opened(browser, trained(n_layer=1, n_embd=8), tmp_path / "a&b.html")


@torch.no_grad()
@pytest.mark.parametrize("labels", [{}, LABELS], ids=["plain", "labels"])
@pytest.mark.parametrize("name", MODELS)
def test_the_page_computes_the_probabilities_of_the_model(
    browser: Chrome, tmp_path: Path, name: str, labels: dict[str, int]
) -> None:
    architecture, options = MODELS[name]
    model = trained(architecture, labels, **options)
    export_html(model, tmp_path / "page.html")
    browser.get((tmp_path / "page.html").as_uri())
    text = model.vocabulary.encode("".join(np.random.default_rng(2).choice([*CHARACTERS], size=22))).tolist()
    for start in map(model.vocabulary.start, labels or [""]):
        state, expected = None, []
        for token in (start, *text):
            logits, state = model.step(torch.tensor([token]), state)
            expected.append(logits[0].float().log_softmax(0))
        found = torch.tensor(browser.execute_script(LOG_PROBS, [start, *text]))
        torch.testing.assert_close(found, torch.stack(expected), atol=2e-5, rtol=1e-5)
    assert console_errors(browser) == []


def test_half_precision_is_decoded_exactly(page: Chrome) -> None:
    bits = [0, 1, 0x3FF, 0x400, 0x3C00, 0x3C01, 0x7BFF, 0x8000, 0x8001, 0xBC00, 0xFBFF]
    expected = torch.tensor(bits, dtype=torch.int32).to(torch.int16).view(torch.half).tolist()
    assert page.execute_script("return arguments[0].map(fromHalf)", bits) == expected


@pytest.mark.parametrize(("architecture", "most"), [("Transformer", 600_000), ("Bigram", 35_000)])
def test_the_page_is_small(tmp_path: Path, architecture: str, most: int) -> None:
    export_html(ARCHITECTURES[architecture]("abcdefghijklmnopqrstuvwxyz", 16), tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < most


def test_the_page_loads_nothing(page: Chrome, tmp_path: Path) -> None:
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    text = (tmp_path / "a&b.html").read_text()  # without the lines that it shows, which can have any characters
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text)


def test_lines_are_distributed_as_the_models_given_the_conditions(browser: Chrome, tmp_path: Path) -> None:
    model = uneven()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())
    opened(browser, model, tmp_path / "page.html")
    asked: dict[str, Any] = {"starts": [], "contains": [], "ends": [], "shortest": 0, "longest": 4, "temperature": 1.2}
    weights = probabilities(model, LINES, 1.2)
    chi_square_test(browser.execute_script(DRAWS, asked, 20_000), weights)
    asked |= {"starts": ["a"], "contains": ["b"], "ends": ["c"], "shortest": 2, "longest": 3}
    fitting = {text: p for text, p in weights.items() if re.fullmatch("a.?c", text) and "b" in text}
    assert fitting.keys() == {"abc"}
    assert set(browser.execute_script(DRAWS, asked, 100)) == {"abc"}
    asked |= {"contains": [], "ends": ["a"], "longest": 4}
    fitting = {text: p for text, p in weights.items() if re.fullmatch("a.{0,2}a", text)}
    chi_square_test(browser.execute_script(DRAWS, asked, 20_000), fitting)


def test_the_page_opens_with_lines_and_says_how_many_draws_fit(page: Chrome) -> None:
    assert len(set(shown_lines(page))) == 24
    assert re.match(r"\d+ of \d+ draws fit", wait(page))
    lines = generate(page, starts="</s", ends="é", letters="4-9")
    assert all(line.startswith("</s") and line.endswith("é") and 4 <= len(line) <= 9 for line in lines)
    found = re.match(r"(\d+) of ([\d,]+) draws that start with “</s” fit(?:; repeats left out: (\d+))?\.", wait(page))
    assert found is not None
    assert int(found[1]) - int(found[3] or 0) == len(lines)
    assert console_errors(page) == []


def test_a_link_gives_everyone_the_same_lines(page: Chrome) -> None:
    lines = generate(page, contains="😀", wild="1.3")
    link = page.execute_script("return location.href")
    others = generate(page, contains="", wild="1")
    page.get("about:blank")
    page.get(link)
    wait(page)
    assert shown_lines(page) == lines != others
    assert page.execute_script("return [contains.value, wild.value]") == ["😀", "1.3"]


def test_only_new_lines_leaves_out_the_training_lines(
    browser: Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = LINES[1:60]

    class Data:
        class membership:  # noqa: N801
            distinct: dict[str, Any] = {"train": distinct(hash_texts(lines))}  # noqa: RUF012

    monkeypatch.setattr("sequentia.export.html.training_data", lambda *_, **__: Data)
    opened(browser, uneven(), tmp_path / "page.html")
    assert browser.find_element(By.ID, "new").is_selected()
    assert shown_lines(browser)
    assert not set(shown_lines(browser)) & set(lines)
    known = "return arguments[0].map((line) => isTrainingLine(Array.from(line)))"
    assert all(browser.execute_script(known, lines))


def test_the_filter_takes_one_in_a_hundred_other_lines_for_a_training_line() -> None:
    hashes = np.random.default_rng(1).integers(2**64, size=30_000, dtype=np.uint64)
    bits = np.unpackbits(bloom_filter(hashes[:20_000]), bitorder="little")
    found = np.ones(len(hashes), bool)
    for i in range(7):
        found &= (
            bits[((hashes & np.uint64(2**32 - 1)) + np.uint64(i) * (hashes >> np.uint64(32))) % np.uint64(len(bits))]
            == 1
        )
    assert found[:20_000].all()
    assert 0.007 < found[20_000:].mean() < 0.013


def test_without_training_data_the_box_is_missing_and_the_log_says_so(
    page: Chrome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not page.find_element(By.ID, "new").is_displayed()
    export_html(trained("Bigram"), tmp_path / "page.html")
    assert "no box 'only new ones': the page needs the training data" in caplog.text


def test_a_click_on_a_line_explains_it(page: Chrome) -> None:
    text = generate(page, letters="1-5")[0]  # "one in" less than a billion, which is written in full
    page.find_element(By.CSS_SELECTOR, "#lines .line").click()
    (score,) = trained(n_layer=1, n_embd=8).score([text])
    found = re.search(r"One in ([\d,]+) draws", page.find_element(By.ID, "why").text)
    assert found is not None
    assert float(found[1].replace(",", "")) == pytest.approx(np.exp(score.nll), rel=1e-3)
    cells = page.execute_script(
        "return Array.from(document.querySelectorAll('#why tr:first-child th'), (t) => t.textContent)"
    )
    assert cells == ["letter", *text, "end"]


def test_favorites_are_kept(page: Chrome) -> None:
    page.execute_script("localStorage.clear()")
    page.refresh()
    wait(page)
    page.execute_script("document.querySelectorAll('#lines .star')[2].click()")  # a mouse may miss on a busy machine
    line = shown_lines(page)[2]
    assert page.find_element(By.CSS_SELECTOR, "#favorites .star").get_attribute("data-text") == line
    page.refresh()
    wait(page)
    assert page.find_element(By.CSS_SELECTOR, "#favorites .star").get_attribute("data-text") == line
    page.find_element(By.CSS_SELECTOR, "#favorites .star").click()
    assert not page.find_element(By.ID, "favorites").is_displayed()


@pytest.mark.parametrize(("typed", "meant"), [("Ab", "ab"), ("e\u0301", "é"), ("É", "é"), ("😀😀", "😀😀")])
def test_letters_are_taken_as_the_model_knows_them(page: Chrome, typed: str, meant: str) -> None:
    lines = generate(page, starts=typed, letters="-6")
    assert lines
    assert all(line.startswith(meant) for line in lines)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("starts", "axb", "does not know “x”"),
        ("ends", "a" * 24, "at most 23 letters"),
        ("letters", "7-5", "start with the smaller"),
        ("letters", "24", "at most 23 letters"),
        ("letters", "many", "as 5-7"),
    ],
)
def test_a_mistake_is_explained_beside_the_field(page: Chrome, field: str, value: str, message: str) -> None:
    element = page.find_element(By.ID, field)
    element.send_keys(value, Keys.ENTER)
    assert message in page.find_element(By.ID, "error").text
    assert element.get_attribute("aria-invalid") == "true"
    assert page.switch_to.active_element == element
    assert shown_lines(page) == []
    assert console_errors(page) == []


def test_a_search_for_rare_lines_can_be_stopped(page: Chrome) -> None:
    page.find_element(By.ID, "contains").send_keys("abcabcabcabc", Keys.ENTER)
    page.find_element(By.ID, "stop").click()
    assert re.match(r"Stopped: 0 of [\d,]+ draws fit\.$", wait(page))
    assert not page.find_element(By.ID, "stop").is_displayed()


def test_the_keyboard_is_enough(page: Chrome) -> None:
    page.find_element(By.ID, "starts").send_keys("ab", Keys.ENTER)
    wait(page)
    page.find_element(By.CSS_SELECTOR, "[type=submit]").send_keys(Keys.TAB, Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "copy"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    WebDriverWait(page, 20).until(lambda b: re.search("copied|selected", b.find_element(By.ID, "status").text))
    page.find_element(By.CSS_SELECTOR, "#lines .line").send_keys(Keys.ENTER)
    assert page.find_element(By.CSS_SELECTOR, "#why table").is_displayed()


def test_everything_has_a_name_and_the_title_is_the_file_name(page: Chrome) -> None:
    assert page.title == "a&b"
    page.find_elements(By.CSS_SELECTOR, "#lines .star")[0].click()
    for element in page.find_elements(By.CSS_SELECTOR, "input, button, [role=region], ul"):
        assert not element.is_displayed() or element.accessible_name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_the_guidelines_ask_for(page: Chrome, scheme: str) -> None:
    """At least 4.5:1 (WCAG 2.2, 1.4.3)."""
    emulate = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", emulate)
    names = ["text", "muted", "page", "field", "accent", "on-accent", "error"]
    read = "const s = getComputedStyle(document.documentElement); return arguments[0].map((n) => s.getPropertyValue(n))"
    colors = dict(zip(names, page.execute_script(read, [f"--{name}" for name in names]), strict=True))

    def luminance(color: str) -> float:
        channels = [int(color.strip()[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for text, behind in [
        *(("text", "page"), ("text", "field"), ("muted", "page"), ("error", "page"), ("on-accent", "accent"))
    ]:
        low, high = sorted((luminance(colors[text]), luminance(colors[behind])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, behind)


def test_nothing_is_wider_than_a_phone(page: Chrome) -> None:
    phone = {"width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        page.find_element(By.CSS_SELECTOR, "#lines .line").click()
        assert page.execute_script("return document.documentElement.scrollWidth") <= 320
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_weight_that_half_precision_cannot_hold_is_refused(tmp_path: Path) -> None:
    model = Transformer("ab", 4, n_layer=1)
    with torch.no_grad():
        model.norm.weight[0] = 70_000
    with pytest.raises(UserError, match="exceeds 65504"):
        export_html(model, tmp_path / "page.html")


def test_an_architecture_of_the_users_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"html needs an architecture of sequentia's own, got a model of class Mine: .*onnx"
    ):
        export_html(type("Mine", (Transformer,), {"__module__": __name__})("ab", 4), tmp_path / "page.html")


def test_any_draws_the_label_by_its_frequency_given_what_lines_start_with(browser: Chrome, tmp_path: Path) -> None:
    model = trained(labels=LABELS, n_layer=1, n_embd=8)
    opened(browser, model, tmp_path / "page.html")
    found = "return opened.then(() => labelProbabilities({ starts: Array.from(arguments[0]) }, () => {}))"
    labels = ["", *model.vocabulary.labels]
    assert browser.execute_script(found, "") == pytest.approx([LABELS[label] / 7 for label in labels])
    first, second = model.vocabulary.encode("é<").tolist()
    with torch.no_grad():
        p = model(torch.tensor([[model.vocabulary.start(label), first] for label in labels])).double().softmax(-1)
    joint = [LABELS[label] * float(p[i, 0, first] * p[i, 1, second]) for i, label in enumerate(labels)]
    assert browser.execute_script(found, "é<") == pytest.approx([p / sum(joint) for p in joint], rel=1e-4)


def test_the_menu_chooses_the_label_of_all_lines(browser: Chrome, tmp_path: Path) -> None:
    model = trained("BigramCounts", {"": 1, "</F>": 1})  # the label says what the first letter is
    model.counts[[0, -1]] = 0
    first = {"": "é", "</F>": "😀"}
    for label, letter in first.items():
        model.counts[model.vocabulary.start(label), model.vocabulary.encode(letter)[0]] = 60_000
    page = opened(browser, model, tmp_path / "page.html")
    options = "return Array.from(document.querySelectorAll('#label option'), (o) => [o.value, o.text])"
    assert page.execute_script(options)[1:] == [[" ", "(no label)"], ["</F>", "</F>"]]

    pairs = [line.partition("\t") for line in shown_lines(page)]
    assert {label for label, _, _ in pairs} == {"", "</F>"}
    assert [shown.text for shown in page.find_elements(By.CSS_SELECTOR, "#lines .label")] == [pair[0] for pair in pairs]
    assert np.mean([text.startswith(first[label]) for label, _, text in pairs]) > 0.9
    for value, label in ((" ", ""), ("</F>", "</F>")):
        lines = generate(page, label=value, letters="1-4")
        assert np.mean([line.startswith(first[label]) for line in lines]) > 0.9
        page.find_element(By.CSS_SELECTOR, "#lines .line").click()
        (score,) = model.score(lines[:1], label=label)
        why = page.find_element(By.ID, "why").text
        found = re.search(r"One in ([\d,]+) draws (with the label “</F>”|without a label),", why)
        assert found is not None
        assert float(found[1].replace(",", "")) == pytest.approx(np.exp(score.nll), rel=1e-3, abs=0.5)
    link = page.execute_script("return location.href")
    assert "label=%3C%2FF%3E" in link
    page.find_element(By.CSS_SELECTOR, "#lines .star").click()
    page.get("about:blank")
    page.get(link)
    wait(page)
    assert shown_lines(page) == lines
    star = page.find_element(By.CSS_SELECTOR, "#favorites .star")
    assert star.get_attribute("data-text") == f"</F>\t{lines[0]}"
    page.get(link.replace("%2F", "X"))
    page.refresh()
    assert "does not know the label of the link" in wait(page)
    assert console_errors(page) == []
