"""A browser without a window, for tests of pages: Chromium, driven by selenium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver

PROGRAMS = ("chromium", "chromedriver")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """A Chromium that runs until the block ends; skips the test where it is not installed.

    Args:
        profile: An empty directory for the browser's files.
    """
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        assert "CI" not in os.environ, f"{' and '.join(missing)} missing, and CI must not skip the tests of pages"
        pytest.skip(f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


def console_errors(browser: webdriver.Chrome) -> list[str]:
    """Errors and warnings on the console since the last call: exceptions, failed requests and the page's own."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
