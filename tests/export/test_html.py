"""The exported page computes the model's logits in the browser, and people can use it."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from sequentia.errors import UserError
from sequentia.export import export_html
from sequentia.inference.sampling import drafts
from sequentia.models import LanguageModel, Transformer
from tests.browser import console_errors

CHARACTERS = "\n \"&'.</>abcptsé\u2028😀"
"""Characters special to HTML and JavaScript, the letters of `</script>`, and a character outside the basic plane."""

LOGITS = """
const state = newState();
return Array.from(arguments[0], (token) => Array.from(step(token, state)));
"""


def trained(characters: str = CHARACTERS, **options: Any) -> Transformer:
    """A small model whose weights are far from their initialization."""
    characters = "".join(sorted(characters))
    torch.manual_seed(1)
    model = Transformer(characters, 8, **{"n_layer": 2, "n_head": 2, "n_embd": 8} | options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model.eval()


def rounded(model: LanguageModel) -> LanguageModel:
    """The model with its weights in the precision in which the page stores them."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())
    return model


def shown_lines(browser: Chrome) -> list[str]:
    """The lines on the page."""
    return browser.execute_script("return Array.from(document.querySelectorAll('#lines li'), (li) => li.textContent)")


def generate(browser: Chrome, **fields: object) -> list[str]:
    """Fill in fields, generate, wait, and return the lines."""
    for name, value in fields.items():
        field = browser.find_element(By.ID, name)
        field.clear()
        field.send_keys(str(value))
    browser.find_element(By.CSS_SELECTOR, "[type=submit]").click()
    WebDriverWait(browser, 20).until(lambda b: "line" in b.find_element(By.ID, "status").text)
    return shown_lines(browser)


@pytest.fixture
def page(browser: Chrome, tmp_path: Path) -> Chrome:
    """The browser with the page of `trained()`."""
    export_html(trained(), tmp_path / "a&b.html")
    browser.get((tmp_path / "a&b.html").as_uri())
    return browser


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_the_page_computes_the_logits_of_the_model_with_rounded_weights(
    browser: Chrome, tmp_path: Path, tied: bool
) -> None:
    model = trained(tied=tied)
    export_html(model, tmp_path / "page.html")
    browser.get((tmp_path / "page.html").as_uri())
    context = torch.randint(1, len(model.vocabulary), (1, 8))
    context[0, 0] = 0
    found = torch.tensor(browser.execute_script(LOGITS, context[0].tolist()))
    torch.testing.assert_close(found, rounded(model)(context)[0], atol=1e-5, rtol=1e-5)
    assert console_errors(browser) == []


def test_half_precision_is_decoded_exactly(page: Chrome) -> None:
    bits = [0, 1, 0x3FF, 0x400, 0x3C00, 0x3C01, 0x7BFF, 0x8000, 0x8001, 0xBC00, 0xFBFF]
    expected = torch.tensor(bits, dtype=torch.int32).to(torch.int16).view(torch.half).tolist()
    assert page.execute_script("return arguments[0].map(fromHalf)", bits) == expected


def test_the_default_model_of_names_takes_less_than_600_kb(tmp_path: Path) -> None:
    model = Transformer("abcdefghijklmnopqrstuvwxyz", 16)
    assert sum(parameter.numel() for parameter in model.parameters()) == 202_816
    export_html(model, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 600_000


def test_the_page_loads_nothing(page: Chrome) -> None:
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    text = page.execute_script("return document.documentElement.outerHTML")
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text)


def test_lines_follow_the_model(browser: Chrome, tmp_path: Path) -> None:
    """First characters of 20,000 lines: a chi-square test."""
    model = rounded(trained("abcde"))
    export_html(model, tmp_path / "page.html")
    browser.get((tmp_path / "page.html").as_uri())
    counts = Counter(browser.execute_script("return Array.from({length: 20000}, () => sampleLine([], 1.5)[0] ?? '')"))
    logits, _ = model.step(torch.tensor([0]))
    expected = 20_000 * (logits[0] / 1.5).softmax(0)
    found = torch.tensor([float(counts[c]) for c in ("", *"abcde")])
    assert ((found - expected) ** 2 / expected).sum() < 33.1  # 5 degrees of freedom: exceeded once in 250,000 runs


def test_temperature_zero_gives_the_most_probable_line(page: Chrome) -> None:
    model = rounded(trained())
    (expected,) = drafts(model, 1, prompt="a", temperature=0)
    assert generate(page, prompt="a", temperature=0, count=3) == [expected] * 3


def test_lines_start_with_the_prompt_and_fit_the_context(page: Chrome) -> None:
    lines = generate(page, prompt="</s", temperature=1, count=50)
    assert len(lines) == 50
    assert all(line.startswith("</s") and len(line) <= 7 for line in lines)
    assert page.find_element(By.ID, "status").text == "50 lines"
    assert len(set(lines)) > 5
    assert console_errors(page) == []


def test_a_character_outside_the_basic_plane_is_one_character(page: Chrome) -> None:
    page.execute_script("document.getElementById('prompt').value = '😀😀'")
    assert all(line.startswith("😀😀") for line in generate(page, count=2))
    assert page.execute_script("return ids.get('😀')") == len(CHARACTERS)


def test_a_prompt_is_normalized_if_that_makes_it_known(page: Chrome) -> None:
    page.execute_script("document.getElementById('prompt').value = 'e\\u0301'")
    assert generate(page, count=1)[0].startswith("é")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("prompt", "axb", "does not know “x”"),
        ("prompt", "aaaaaaaa", "at most 7 characters"),
        ("temperature", "-1", "temperature must be"),
        ("temperature", "", "temperature must be"),
        ("count", "0", "from 1 to 1000"),
        ("count", "2.5", "from 1 to 1000"),
    ],
)
def test_a_mistake_is_explained_beside_the_field(page: Chrome, field: str, value: str, message: str) -> None:
    element = page.find_element(By.ID, field)
    element.send_keys(Keys.CONTROL, "a")
    element.send_keys(Keys.DELETE, value, Keys.ENTER)
    assert message in page.find_element(By.ID, "error").text
    assert element.get_attribute("aria-invalid") == "true"
    assert page.switch_to.active_element == element
    assert shown_lines(page) == []
    assert console_errors(page) == []


def test_the_keyboard_is_enough(page: Chrome) -> None:
    page.find_element(By.ID, "prompt").send_keys("ab", Keys.ENTER)
    WebDriverWait(page, 20).until(lambda b: b.find_element(By.ID, "status").text == "20 lines")
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "copy"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    WebDriverWait(page, 20).until(lambda b: b.find_element(By.ID, "status").text != "20 lines")
    assert "opied" in page.find_element(By.ID, "status").text or "selected" in page.find_element(By.ID, "status").text


def test_every_field_has_a_label_and_the_title_is_the_file_name(page: Chrome) -> None:
    assert page.title == "a&b"
    assert page.execute_script("return Array.from(document.querySelectorAll('input'), (i) => i.labels.length)") == [
        *(1, 1, 1)
    ]


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
        generate(page, count=5)
        assert page.execute_script("return document.documentElement.scrollWidth") <= 320
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_weight_that_half_precision_cannot_hold_is_refused(tmp_path: Path) -> None:
    model = trained()
    with torch.no_grad():
        model.norm.weight[0] = 70_000
    with pytest.raises(UserError, match="exceeds 65504"):
        export_html(model, tmp_path / "page.html")
