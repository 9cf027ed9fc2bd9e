"""The browser of the tests runs a page's scripts and reports its errors."""

from pathlib import Path

from selenium.webdriver import Chrome

from tests.browser import console_errors


def test_a_script_runs_and_its_error_is_reported_once(browser: Chrome, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>t</title><script>document.title = 1 + 2; throw Error('broken')</script>")
    browser.get(page.as_uri())
    assert browser.title == "3"
    (error,) = console_errors(browser)
    assert "broken" in error
    assert console_errors(browser) == []
